// Which threshold of the rules a panel's colours stand for. "uid / panel", and "/ field" for a table's column.

// Colours that change at 1: something to be looked at, or nothing.
export const COUNTED = [
  'vminsights-fleet / Critical alerts',
  'vminsights-fleet / Other alerts',
  'vminsights-fleet / Silent VMs',
  'vminsights-fleet / Low disks',
  'vminsights-fleet / VMs with threats, 24 h',
  'vminsights-vm / Alerts firing',
  'vminsights-vm / Threat addresses, 24 h',
  'vminsights-threats / VMs with threats',
  'vminsights-threats / Remote addresses',
  'vminsights-threats / Outbound pairs',
  'vminsights-threats / Sent to bad addresses',
  'vminsights-exporter / Exporters up',
  'vminsights-exporter / Unanswered queries',
  'vminsights-exporter / Sign-in refused, 15 min',
];

const FREE = ['global:vminsights_disk_free_percent:critical_threshold', 'global:vminsights_disk_free_percent:low_threshold'];
const SILENT = ['global:vminsights_vm_heartbeat_age_seconds:threshold'];
const CPU = ['global:vminsights_cpu_utilization_percent:high_threshold'];
const MEMORY = ['global:vminsights_memory_available_percent:low_threshold'];
const FULL = ['global:vminsights_disk_fills_within_seconds:short_threshold', 'global:vminsights_disk_fills_within_seconds:long_threshold'];
const SEVERITY = ['global:vminsights_threat_severity:page_threshold'];

// Colours that change where alerts do.
export const COLOURS = {
  'vminsights-fleet / Fullest disks': FREE,
  'vminsights-fleet / Busiest CPUs': CPU,
  'vminsights-fleet / Least memory': MEMORY,
  'vminsights-fleet / Disks soonest full': FULL,
  'vminsights-fleet / VMs last heard of / Value #A': SILENT,
  'vminsights-vm / Silent for': SILENT,
  'vminsights-vm / CPU, 15 min': CPU,
  'vminsights-vm / Memory left, 15 min': MEMORY,
  'vminsights-vm / Fullest disk': FREE,
  'vminsights-vm / All disks / Value #A': FREE,
  'vminsights-threats / Feed silent for': ['global:vminsights_threat_feed_silence_seconds:threshold'],
  'vminsights-threats / Highest severity': SEVERITY,
  'vminsights-threats / Addresses within the time range / Value #B': SEVERITY,
  'vminsights-threats / Addresses within the time range / Value #C': ['global:vminsights_threat_confidence_percent:page_threshold'],
  'vminsights-exporter / Most overdue query': [
    'global:vminsights_exporter_poll_overdue_intervals:failing_threshold', 'global:vminsights_exporter_poll_overdue_intervals:stale_threshold',
  ],
  'vminsights-exporter / Ingestion delay': ['global:vminsights_table_ingestion_delay_seconds:threshold'],
};
