//! The real program, which polls a simulated workspace.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vminsights_exporter::simulator::Access;

/// Nothing waits for it unless a test has failed.
const PATIENT: Duration = Duration::from_secs(40);

/// It listens on a socket in its own folder and logs into a file there.
pub struct Program {
    folder: TempDir,
    child: Child,
}

impl Program {
    /// `queries`: names, KQL and timeouts; each query is asked every second for its column `n`.
    /// `azure`: lines under that key, beside the credential; [`simulated`] are those that lead to the
    /// simulated workspace.
    pub fn serve(
        access: &Access,
        queries: &[(String, String, &str)],
        azure: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", &access.ca_pem);
        write("secret", access.client_secret.expose());
        std::fs::create_dir(folder.path().join("queries")).unwrap();
        for (name, kql, timeout) in queries {
            write(&format!("queries/{name}.kql"), kql);
            let yaml = format!(
                "interval: 1s\ntimeout: {timeout}\nstale_after: 1h\nmetrics: [{{name: x_{name}, type: gauge, help: N., value: n}}]\n"
            );
            write(&format!("queries/{name}.yaml"), &yaml);
        }
        let config = format!(
            "azure:
  credential: {{client_secret: {{tenant_id: {}, client_id: {}, secret_file: secret}}}}
{azure}  requests_per_30s: 2000
  concurrent_requests: 50
workspaces: [{{id: {}, name: prod}}]
packs: []
queries_dir: queries
",
            access.tenant_id, access.client_id, access.workspace_id
        );
        write("exporter.yaml", &config);
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let child = command
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .args(["serve", "--config.file=exporter.yaml", "--log.format=json"])
            .arg(format!(
                "--web.listen-address=unix:{}",
                socket(folder.path())
            ))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    /// Waits until `find` finds what it looks for.
    pub fn until<T>(&self, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENT;
        loop {
            if let Some(found) = find(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The log's lines so far.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        let lines = text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok());
        lines.collect()
    }

    /// The body of a page; empty as long as nobody listens.
    pub fn get(&self, path: &str) -> String {
        let Ok(mut stream) = UnixStream::connect(socket(self.folder.path())) else {
            return String::new();
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }
}

/// Where the simulated workspace is, and whom to trust.
pub fn simulated(access: &Access) -> String {
    format!(
        "  cloud: {{logs: '{}', authority: '{}', audience: '{}'}}\n  ca_file: ca.pem\n",
        access.endpoint, access.authority, access.audience
    )
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket(folder: &Path) -> String {
    folder.join("socket").display().to_string()
}
