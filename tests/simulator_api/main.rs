//! What the simulated workspace's API has beyond a workspace's queries, over TLS with a real HTTP
//! client.

mod paths;
mod resource_manager;
mod resources;
mod rig;
mod tokens;
mod wording;
