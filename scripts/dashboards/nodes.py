# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Nodes": what node exporter sees of the chosen servers."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

NODE = 'job="node-exporter", node=~"$node"'
DISK = f'{NODE}, fstype=~"ext[234]|xfs|btrfs|zfs", mountpoint!~"/var/lib/kubelet/pods/.*"'
LINK = f'{NODE}, device!~"lo|lxc.*|cilium.*|veth.*"'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-nodes",
        "Nodes",
        "Processor, memory, disks and network of the servers, as node exporter sees them.",
        [
            (
                "Now",
                [
                    b.alerts("Node.*|Kubelet.*|Certificate.*"),
                    b.number(
                        "Reporting",
                        "Servers whose node exporter answers.",
                        "short",
                        b.query(f"sum(up{{{NODE}}})"),
                        base="red",
                        thresholds=((1, "green"),),
                    ),
                    b.number(
                        "Fullest filesystem",
                        "Used share of the fullest local filesystem.",
                        "percentunit",
                        b.query(
                            f"max(1 - node_filesystem_avail_bytes{{{DISK}}} / node_filesystem_size_bytes{{{DISK}}})"
                        ),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.number(
                        "Largest clock error",
                        "Estimated error of the worst clock. Certificates, leases and etcd depend on clocks.",
                        "s",
                        b.query(f"max(abs(node_timex_offset_seconds{{{NODE}}}))"),
                        thresholds=((0.05, "orange"), (0.5, "red")),
                    ),
                    b.number(
                        "Shortest uptime",
                        "Time since the last start of the server that started last.",
                        "s",
                        b.query(f"min(time() - node_boot_time_seconds{{{NODE}}})"),
                        base="orange",
                        thresholds=((600, "green"),),
                    ),
                    b.number(
                        "Next certificate expiry",
                        "Time until the first certificate on disk expires.",
                        "s",
                        b.query('min(onprem_certificate_expiry_timestamp_seconds{node=~"$node"}) - time()'),
                        base="red",
                        thresholds=((14 * 86400, "orange"), (45 * 86400, "green")),
                    ),
                ],
            ),
            (
                "Processor and memory",
                [
                    b.graph(
                        "CPU",
                        "Processor time that is not idle.",
                        "percentunit",
                        b.query(
                            f'1 - avg by (node) (rate(node_cpu_seconds_total{{{NODE}, mode="idle"}}[{b.RATE}]))',
                            "{{node}}",
                        ),
                        maximum=1,
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.graph(
                        "Load per core",
                        "Processes that run or want to run, for each processor. Above 1 they wait.",
                        "short",
                        b.query(
                            f"sum by (node) (node_load5{{{NODE}}})"
                            f' / count by (node) (node_cpu_seconds_total{{{NODE}, mode="idle"}})',
                            "{{node}}",
                        ),
                        thresholds=((1, "orange"), (2, "red")),
                    ),
                    b.graph(
                        "Memory",
                        "Memory that the kernel could not give to a new process.",
                        "percentunit",
                        b.query(
                            f"1 - node_memory_MemAvailable_bytes{{{NODE}}} / node_memory_MemTotal_bytes{{{NODE}}}",
                            "{{node}}",
                        ),
                        maximum=1,
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.graph(
                        "Connections tracked",
                        "Used share of the kernel's connection table. When it is full, new connections are dropped.",
                        "percentunit",
                        b.query(
                            f"node_nf_conntrack_entries{{{NODE}}} / node_nf_conntrack_entries_limit{{{NODE}}}",
                            "{{node}}",
                        ),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                ],
            ),
            (
                "Disks and network",
                [
                    b.graph(
                        "Filesystem use",
                        "Used share of local filesystems.",
                        "percentunit",
                        b.query(
                            f"1 - node_filesystem_avail_bytes{{{DISK}}} / node_filesystem_size_bytes{{{DISK}}}",
                            "{{node}} {{mountpoint}}",
                        ),
                        maximum=1,
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.graph(
                        "Disk busy",
                        "Share of time in which a disk had work. etcd suffers first from a busy disk.",
                        "percentunit",
                        b.query(f"rate(node_disk_io_time_seconds_total{{{NODE}}}[{b.RATE}])", "{{node}} {{device}}"),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.graph(
                        "Network",
                        "Traffic of the servers' own interfaces; received and sent.",
                        "binBps",
                        b.query(
                            f"sum by (node) (rate(node_network_receive_bytes_total{{{LINK}}}[{b.RATE}]))",
                            "{{node}} received",
                        ),
                        b.query(
                            f"sum by (node) (rate(node_network_transmit_bytes_total{{{LINK}}}[{b.RATE}]))",
                            "{{node}} sent",
                        ),
                    ),
                    b.graph(
                        "Network faults",
                        "Packets that an interface lost or found damaged.",
                        "pps",
                        b.query(
                            f"sum by (node) (rate(node_network_receive_errs_total{{{LINK}}}[{b.RATE}])"
                            f" + rate(node_network_receive_drop_total{{{LINK}}}[{b.RATE}])"
                            f" + rate(node_network_transmit_errs_total{{{LINK}}}[{b.RATE}])"
                            f" + rate(node_network_transmit_drop_total{{{LINK}}}[{b.RATE}]))",
                            "{{node}}",
                        ),
                        thresholds=((1, "orange"),),
                    ),
                ],
            ),
        ],
        [b.variable("node", "Node", 'label_values(node_boot_time_seconds{job="node-exporter"}, node)')],
    )
