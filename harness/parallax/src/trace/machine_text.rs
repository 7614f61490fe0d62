//! A machine as the machine line of a trace says it.

use parallax_machine::MachineConfig;
use parallax_machine::config::{DmaDevice, HostView};

/// The words behind `machine`, which parse to the same machine; the fault has a line of its own.
#[must_use]
pub fn machine_text(config: &MachineConfig) -> String {
    let hyp = &config.hyp;
    let mut text = format!(
        "cpus={} mem={}M cpu={} smmu={} smmu.map={} smmu.mmio={} smmu.sid_bits={}",
        config.cpus,
        config.mem_bytes >> 20,
        config.cpu,
        hyp.smmu,
        hyp.map,
        hyp.mmio,
        hyp.sid_bits
    );
    if hyp.smmu_host != HostView::Hidden {
        text += &format!(" smmu.host={}", hyp.smmu_host);
    }
    if !hyp.donate_mmio.is_empty() {
        let pages: Vec<String> = hyp.donate_mmio.iter().map(|page| format!("{page:#x}")).collect();
        text += &format!(" donate_mmio={}", pages.join(","));
    }
    if let Some(pages) = hyp.host_s2_pages {
        text += &format!(" host_s2_pages={pages}");
    }
    let device = |device: &DmaDevice| match device {
        DmaDevice::Slot(slot) => format!("edu@{slot}"),
        DmaDevice::BehindPort(_) => "edu@bus1".to_owned(),
    };
    if !config.devices.is_empty() {
        let devices: Vec<String> = config.devices.iter().map(device).collect();
        text += &format!(" devices={}", devices.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    #[test]
    fn the_text_parses_to_the_same_machine() {
        for line in [
            "cpus=1",
            "cpus=4 mem=1G cpu=cortex-a53 smmu=shared smmu.map=pages smmu.mmio=prot smmu.sid_bits=9 smmu.host=emulated \
             donate_mmio=mmio:rtc,0x9030000 host_s2_pages=12 devices=edu@1,edu@3,edu@bus1",
        ] {
            let parse =
                |line: &str| Trace::parse("t", &format!("machine {line}\nsnapshot\n")).unwrap().machine;
            let machine = parse(line);
            assert_eq!(parse(&machine_text(&machine)), machine, "{line}");
        }
    }
}
