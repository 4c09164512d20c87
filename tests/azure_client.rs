//! What the client makes of Azure, well or unwell. Each server is real (TLS on loopback) and named
//! for how it behaves.

#[path = "azure_client/rig.rs"]
mod rig;
#[path = "azure_client/server.rs"]
mod server;

#[path = "azure_client/credentials.rs"]
mod credentials;
#[path = "azure_client/discovery.rs"]
mod discovery;
#[path = "azure_client/network.rs"]
mod network;
#[path = "azure_client/queries.rs"]
mod queries;
#[path = "azure_client/queries_again.rs"]
mod queries_again;
#[path = "azure_client/tokens.rs"]
mod tokens;
