//! InsightsMetrics: what the Azure Monitor agent measures each minute.

use super::dice::Dice;
use super::disk::{Disk, daylight};
use super::story::Story;
use super::vm::Vm;
use super::writer::Writer;
use super::{Common, Moment};
use crate::kql::{RowError, Schema, Value};

const COLUMNS: [&str; 15] = [
    "TenantId",
    "SourceSystem",
    "TimeGenerated",
    "Computer",
    "Origin",
    "Namespace",
    "Name",
    "Val",
    "Tags",
    "AgentId",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
    "_IsBillable",
    "_TimeReceived",
];

/// Writes the InsightsMetrics rows of VMs and minutes.
pub struct Metrics<'a> {
    rows: Writer<{ COLUMNS.len() }>,
    common: &'a Common,
    text: Text,
}

/// The strings that rows repeat, made once: a row then only counts a reference up.
struct Text {
    origin: Value,
    kind: Value,
    source: Value,
    empty: Value,
    computer: Value,
    memory: Value,
    processor: Value,
    network: Value,
    disk: Value,
    heartbeat: Value,
    available: Value,
    utilization: Value,
    read_bytes: Value,
    write_bytes: Value,
    status: Value,
    free_percent: Value,
    free_mb: Value,
    reads: Value,
    writes: Value,
    transfers: Value,
    bytes: Value,
    read_latency: Value,
    write_latency: Value,
    transfer_latency: Value,
    container_origin: Value,
    container_disk: Value,
    container_disk_io: Value,
    used_percent: Value,
    reads_total: Value,
}

impl Text {
    fn new() -> Self {
        let text = |text: &'static str| Value::string(text);
        Self {
            origin: text("vm.azm.ms"),
            kind: text("InsightsMetrics"),
            source: text("Insights"),
            empty: text(""),
            computer: text("Computer"),
            memory: text("Memory"),
            processor: text("Processor"),
            network: text("Network"),
            disk: text("LogicalDisk"),
            heartbeat: text("Heartbeat"),
            available: text("AvailableMB"),
            utilization: text("UtilizationPercentage"),
            read_bytes: text("ReadBytesPerSecond"),
            write_bytes: text("WriteBytesPerSecond"),
            status: text("Status"),
            free_percent: text("FreeSpacePercentage"),
            free_mb: text("FreeSpaceMB"),
            reads: text("ReadsPerSecond"),
            writes: text("WritesPerSecond"),
            transfers: text("TransfersPerSecond"),
            bytes: text("BytesPerSecond"),
            read_latency: text("ReadLatencyMs"),
            write_latency: text("WriteLatencyMs"),
            transfer_latency: text("TransferLatencyMs"),
            container_origin: text("container.azm.ms/telegraf"),
            container_disk: text("container.azm.ms/disk"),
            container_disk_io: text("container.azm.ms/diskio"),
            used_percent: text("used_percent"),
            reads_total: text("reads"),
        }
    }
}

/// One measurement, all by reference to what is made once.
struct Sample<'a> {
    origin: &'a Value,
    namespace: &'a Value,
    name: &'a Value,
    value: f64,
    tags: &'a Value,
}

impl<'a> Metrics<'a> {
    pub fn new(schema: &Schema, common: &'a Common) -> Self {
        Self {
            rows: Writer::new(schema, "InsightsMetrics", &COLUMNS),
            common,
            text: Text::new(),
        }
    }

    pub fn finish(self) -> Option<(&'static str, crate::kql::Batch)> {
        self.rows.finish()
    }

    /// All counters of a VM in a minute.
    pub fn write(&mut self, vm: &Vm, moment: &Moment, story: &Story) -> Result<(), RowError> {
        let text = &self.text;
        let mut dice = Dice::new(&[
            self.common.seed,
            0x696D,
            vm.index as u64,
            moment.minute as u64,
        ]);
        let load = load(self.common.seed, vm, moment.minute);
        let mut samples = Vec::with_capacity(48);
        let mut add = |namespace, name, value, tags| {
            samples.push(Sample {
                origin: &text.origin,
                namespace,
                name,
                value,
                tags,
            });
        };
        add(&text.computer, &text.heartbeat, 1.0, &text.empty);
        let busy_memory = 0.35 + 0.3 * load + 0.01 * dice.unit();
        let available = (vm.memory_mb as f64 * (1.0 - busy_memory)).round();
        add(&text.memory, &text.available, available, &vm.memory_tags);
        let cpu = rounded(100.0 * (load + 0.04 * dice.unit()).clamp(0.001, 1.0));
        add(&text.processor, &text.utilization, cpu, &vm.cpu_tags);

        let received = (load * 60e6 * (0.5 + dice.unit())) as i64;
        let sent = (load * 90e6 * (0.5 + dice.unit())) as i64;
        let network_tags = [received, sent].map(|bytes| {
            Value::string(format!(
                "{{\"vm.azm.ms/networkDeviceId\":\"{}\",\"vm.azm.ms/bytes\":{bytes}}}",
                vm.device
            ))
        });
        let per_second = |bytes: i64| bytes as f64 / 60.0;
        add(
            &text.network,
            &text.read_bytes,
            per_second(received),
            &network_tags[0],
        );
        add(
            &text.network,
            &text.write_bytes,
            per_second(sent),
            &network_tags[1],
        );

        for (number, disk) in vm.disks.iter().enumerate() {
            let free = disk.free_mb(vm.index, number, moment.minute, story) as f64;
            let activity = Activity::of(disk, load, &mut dice);
            let tags = &disk.tags;
            let percent = free * 100.0 / disk.size_mb as f64;
            add(&text.disk, &text.status, 1.0, tags);
            add(&text.disk, &text.free_percent, percent, tags);
            add(&text.disk, &text.free_mb, free, &disk.size_tags);
            add(&text.disk, &text.reads, activity.reads, tags);
            add(&text.disk, &text.writes, activity.writes, tags);
            add(
                &text.disk,
                &text.transfers,
                activity.reads + activity.writes,
                tags,
            );
            add(&text.disk, &text.read_bytes, activity.read_bytes, tags);
            add(&text.disk, &text.write_bytes, activity.write_bytes, tags);
            let bytes = activity.read_bytes + activity.write_bytes;
            add(&text.disk, &text.bytes, bytes, tags);
            add(&text.disk, &text.read_latency, activity.read_latency, tags);
            add(
                &text.disk,
                &text.write_latency,
                activity.write_latency,
                tags,
            );
            add(&text.disk, &text.transfer_latency, activity.latency(), tags);
        }

        // Container insights writes to the same table, with "disk" in its namespaces: a filter on
        // Namespace alone catches these too.
        let container_tags = &self.common.container_tags;
        if vm.index % 6 == 2 {
            let used = 40.0 + 20.0 * daylight(moment.minute);
            for (namespace, name, value) in [
                (&text.container_disk, &text.used_percent, used),
                (&text.container_disk_io, &text.reads_total, 1e6 * load),
            ] {
                samples.push(Sample {
                    origin: &text.container_origin,
                    namespace,
                    name,
                    value: value.round(),
                    tags: container_tags,
                });
            }
        }

        for sample in samples {
            self.rows.push(
                moment.arrival,
                [
                    self.common.workspace_id.clone(),
                    text.source.clone(),
                    moment.generated.clone(),
                    vm.computer.clone(),
                    sample.origin.clone(),
                    sample.namespace.clone(),
                    sample.name.clone(),
                    Value::Real(sample.value),
                    sample.tags.clone(),
                    vm.agent_id.clone(),
                    text.kind.clone(),
                    vm.resource_id.clone(),
                    vm.subscription_id.clone(),
                    self.common.billable.clone(),
                    moment.received.clone(),
                ],
            )?;
        }
        Ok(())
    }
}

/// What a disk does in a minute, per second.
struct Activity {
    reads: f64,
    writes: f64,
    read_bytes: f64,
    write_bytes: f64,
    read_latency: f64,
    write_latency: f64,
}

impl Activity {
    fn of(disk: &Disk, load: f64, dice: &mut Dice) -> Self {
        let share = if disk.is_busy() { load } else { 0.0 };
        let reads = rounded(share * 120.0 * (0.5 + dice.unit()));
        let writes = rounded(share * 180.0 * (0.5 + dice.unit()));
        let latency = |dice: &mut Dice| rounded(share * (1.0 + 6.0 * dice.unit()));
        Self {
            reads,
            writes,
            read_bytes: (reads * 16_384.0).round(),
            write_bytes: (writes * 8_192.0).round(),
            read_latency: latency(dice),
            write_latency: latency(dice),
        }
    }

    /// Over reads and writes.
    fn latency(&self) -> f64 {
        let transfers = self.reads + self.writes;
        if transfers == 0.0 {
            return 0.0;
        }
        rounded((self.reads * self.read_latency + self.writes * self.write_latency) / transfers)
    }
}

/// How busy a VM is, from 0 to 1: the working day, the VM's own level and noise.
pub fn load(seed: u64, vm: &Vm, minute: i64) -> f64 {
    let own = 0.05 + 0.25 * Dice::new(&[seed, 0x6C6F, vm.index as u64]).unit();
    let mut dice = Dice::new(&[seed, 0x6C64, vm.index as u64, minute as u64]);
    (own + 0.4 * daylight(minute) + 0.15 * (dice.unit() - 0.5)).clamp(0.01, 1.0)
}

/// To three decimals, as agents send it.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
