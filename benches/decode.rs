//! What it costs to make a table of a large answer, beside plain `serde_json` over the same bytes.
//!
//! Each decoder runs in a process of its own, so that the kernel's peak of resident memory is the
//! peak of that one: the body, gathered in pieces as the client gathers it, and what is made of it.

use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use vminsights_exporter::azure::read_table;

const ROWS: usize = 400_000;
const DISKS: usize = 4;
const RUNS: usize = 7;
/// About what one read of a TLS connection yields.
const PIECE: usize = 16 * 1024;

/// From a body to its number of rows.
type Decode = fn(&[u8]) -> usize;

const DECODERS: [(&str, Decode); 3] = [
    ("ours", |body| read_table(body).unwrap().row_count()),
    ("serde_json, rows of raw values", |body| {
        let answer: Answer<'_> = serde_json::from_slice(body).unwrap();
        black_box(&answer).tables[0].rows.len()
    }),
    ("serde_json, Value", |body| {
        let answer: Value = serde_json::from_slice(body).unwrap();
        let rows = &black_box(&answer)["tables"][0]["rows"];
        rows.as_array().unwrap().len()
    }),
];

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    tables: Vec<Table<'a>>,
}

#[derive(Deserialize)]
struct Table<'a> {
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

/// What the query `logical_disks` of the pack `vm` is answered: a row a disk. `order` says which
/// disk comes when; the service promises none. With one disk a VM no text comes twice.
fn body(order: &[usize], disks: usize) -> String {
    let mut dice = fastrand::Rng::with_seed(1);
    let mut out = String::from(
        r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"Computer","type":"string"},{"name":"ResourceId","type":"string"},{"name":"Disk","type":"string"},{"name":"FreePercent","type":"real"},{"name":"FreeBytes","type":"real"},{"name":"SizeBytes","type":"real"},{"name":"Up","type":"real"}],"rows":["#,
    );
    for (at, index) in order.iter().enumerate() {
        let vm = index / disks;
        let disk = match disks {
            1 => format!("/srv/{index}"),
            _ => ["/", "/boot", "/var", "/srv/data"][index % disks].to_owned(),
        };
        let comma = if at == 0 { "" } else { "," };
        let size = 32.0 * 1024.0 * 1048576.0 * f64::from(dice.u8(1..32));
        let percent = 100.0 * dice.f64();
        let free = (size * percent / 100.0 / 1048576.0).floor() * 1048576.0;
        write!(
            out,
            r#"{comma}["web-{vm:06}.corp.example","/subscriptions/3f1c9a52-7b1e-4a0c-9a3e-5d2f6b8c7e10/resourcegroups/rg-web-{:03}/providers/microsoft.compute/virtualmachines/web-{vm:06}","{disk}",{percent},{free},{size},1]"#,
            vm / 200,
        )
        .unwrap();
    }
    out.push_str("]}]}");
    out
}

/// A figure of `/proc/self/status`, in bytes.
fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kib: usize = line
        .unwrap()
        .trim_matches([':', '\t', ' ', 'k', 'B'])
        .parse()
        .unwrap();
    kib * 1024
}

/// The child's part: one decoder over the file's bytes.
fn measure(decoder: usize, path: &Path) {
    let (name, decode) = DECODERS[decoder];
    let before = status("VmRSS");
    let mut file = File::open(path).unwrap();
    let mut piece = [0; PIECE];
    let mut body = Vec::new();
    loop {
        match file.read(&mut piece).unwrap() {
            0 => break,
            read => body.extend_from_slice(&piece[..read]),
        }
    }
    assert_eq!(decode(&body), ROWS);
    let peak = status("VmHWM") - before;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            black_box(decode(black_box(&body)));
            begun.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let bytes = body.len() as f64;
    println!(
        "| {name} | {:.0} | {:.0} | {:.2} |",
        bytes / 1e6 / times[RUNS / 2],
        bytes / 1e6 / times[RUNS - 1],
        peak as f64 / bytes,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, part, decoder, path] = arguments.as_slice()
        && part == "measure"
    {
        return measure(decoder.parse().unwrap(), Path::new(path));
    }
    let in_order: Vec<usize> = (0..ROWS).collect();
    let mut shuffled = in_order.clone();
    fastrand::Rng::with_seed(2).shuffle(&mut shuffled);
    for (name, order, disks) in [
        ("VM by VM", &in_order, DISKS),
        ("shuffled", &shuffled, DISKS),
        ("no text twice", &in_order, 1),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let body = body(order, disks);
        std::fs::write(file.path(), &body).unwrap();
        println!("{ROWS} rows, {name}: {:.0} MB", body.len() as f64 / 1e6);
        println!("| decoder | MB/s (median) | MB/s (worst) | peak / body |");
        for decoder in 0..DECODERS.len() {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child
                .args(["measure", &decoder.to_string()])
                .arg(file.path());
            assert!(child.status().unwrap().success());
        }
    }
}
