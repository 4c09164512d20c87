//! What queries over a million VMConnection rows cost. With a path as argument the columns that the
//! queries read are written there as CSV, for another engine to read.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vminsights_exporter::kql::{
    Batch, BatchBuilder, Budget, Database, DateTime, QueryOptions, Schema, Type, Value, run,
};

const ROWS: usize = 1_000_000;
/// As the simulated workspace stores them.
const ROWS_IN_BATCH: usize = 20_000;
const RUNS: usize = 5;

const QUERIES: [(&str, &str); 3] = [
    (
        "filter, count by three",
        r#"VMConnection | where IndicatorThreatType != "" | summarize count() by Computer, IndicatorThreatType, DestinationPort"#,
    ),
    (
        "arg_max by three",
        "VMConnection | summarize arg_max(TimeGenerated, BytesSent) by Computer, ProcessName, DestinationPort",
    ),
    (
        "arg_max of all columns by three",
        "VMConnection | summarize arg_max(TimeGenerated, *) by Computer, ProcessName, DestinationPort",
    ),
];

struct Connections {
    schema: Schema,
    batches: Vec<Arc<Batch>>,
}

impl Database for Connections {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        if table == "VMConnection" {
            self.batches.clone()
        } else {
            Vec::new()
        }
    }
}

/// Every column has a value: a hundredth of the rows has an indicator, counters differ from row to row.
fn value(name: &str, kind: Type, row: usize, dice: &mut fastrand::Rng) -> Value {
    let threat = row.is_multiple_of(100);
    let text = match name {
        "Computer" => format!("vm-{}", row % 500),
        "IndicatorThreatType" if threat => ["Botnet", "C2", "Phishing"][row / 100 % 3].to_owned(),
        "IndicatorThreatType" | "MaliciousIp" | "Description" if !threat => String::new(),
        "ProcessName" => ["nginx", "sshd", "curl", "svchost"][dice.usize(..4)].to_owned(),
        "RemoteIp" | "ConnectionId" => format!("{name}-{}", dice.u32(..5000)),
        "TenantId" | "Type" | "SourceSystem" => name.to_owned(),
        _ => format!("{name}-{}", row % 500),
    };
    match kind {
        Type::String => Value::string(text),
        Type::DateTime => {
            let minute = row as i64 / 2000;
            Value::DateTime(DateTime::from_unix_seconds(1_795_000_000 + minute * 60))
        }
        Type::Int => Value::Int([443, 80, 22, 5432, 3389][dice.usize(..5)]),
        Type::Long => Value::Long(dice.i64(..1_000_000)),
        Type::Real => Value::Real(f64::from(dice.u32(..1000)) / 8.0),
        Type::Bool => Value::Bool(threat),
        _ => Value::Null,
    }
}

fn connections() -> Connections {
    let schema = Schema::vm_insights();
    let table = schema.table("VMConnection").unwrap().clone();
    let mut dice = fastrand::Rng::with_seed(1);
    let batches = (0..ROWS / ROWS_IN_BATCH)
        .map(|batch| {
            let mut builder = BatchBuilder::new(table.clone());
            for row in batch * ROWS_IN_BATCH..(batch + 1) * ROWS_IN_BATCH {
                let cells = table.columns.iter();
                let cells = cells.map(|column| value(&column.name, column.kind, row, &mut dice));
                let arrived = DateTime::from_unix_seconds(1_795_000_120 + row as i64 / 2000 * 60);
                builder.push(arrived, cells.collect()).unwrap();
            }
            Arc::new(builder.finish())
        })
        .collect();
    Connections { schema, batches }
}

/// Bytes of memory that the process has, by the kernel.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The rows as CSV, `null` for null.
fn write_csv(database: &Connections, path: &str) {
    let result = run(database, "VMConnection", &options()).unwrap();
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let names: Vec<&str> = result.columns.iter().map(|column| &*column.name).collect();
    writeln!(file, "{}", names.join(",")).unwrap();
    for row in 0..result.row_count {
        let cells: Vec<String> = result
            .data
            .iter()
            .map(|data| match data.value(row) {
                Value::String(text) => text.to_string(),
                Value::DateTime(moment) => moment.to_timestamp().to_string(),
                Value::Int(number) => number.to_string(),
                Value::Long(number) => number.to_string(),
                Value::Real(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                _ => "null".to_owned(),
            })
            .collect();
        writeln!(file, "{}", cells.join(",")).unwrap();
    }
}

fn options() -> QueryOptions<'static> {
    QueryOptions {
        now: DateTime::from_unix_seconds(1_796_000_000),
        timespan: None,
        max_rows: ROWS,
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
        cancelled: &|| false,
    }
}

fn main() {
    let before = resident();
    let database = connections();
    let bytes = resident().saturating_sub(before) / ROWS;
    println!("{ROWS} rows, {bytes} bytes a row");
    for (name, text) in QUERIES {
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let begun = Instant::now();
                let result = run(&database, text, &options()).unwrap();
                assert!(result.row_count > 0);
                begun.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let median = times[RUNS / 2];
        println!(
            "ours\t{name}\t{:.1} ms\t{:.1} M rows/s",
            median * 1e3,
            ROWS as f64 / median / 1e6
        );
    }
    if let Some(path) = std::env::args().nth(1).filter(|path| path != "--bench") {
        write_csv(&database, &path);
    }
}
