//! What a GIC that uses memory says, as lines of the `regs` lane. An ITS that is not enabled and a redistributor without LPIs
//! say nothing, nor does an ITT that lies in the memory of the hypervisor: what stands there is none.

use parallax_addr::{PhysAddr, Span};

use crate::gic_state::GicState;
use crate::snapshot::Layout;

/// Texts, each with the address that it ends with.
pub(crate) fn lines(gic: &GicState, layout: &Layout) -> Vec<(String, Option<PhysAddr>)> {
    let mut lines = Vec::new();
    if let Some(its) = gic.its.as_ref().filter(|its| its.enabled) {
        lines.push(("GITS_CTLR: Enabled=1".to_owned(), None));
        for device in &its.devices {
            let text = format!("ITS DeviceID={:#x}: {} EventIDs, ITT at ", device.id, device.events);
            lines.push((text, Some(device.itt.base)));
        }
        for (icid, processor) in &its.collections {
            lines.push((format!("ITS ICID={icid}: processor {processor}"), None));
        }
        let own = |itt: Span<PhysAddr>| layout.pool.overlaps(itt) || layout.image.overlaps(itt);
        let misled = |id| its.devices.iter().any(|device| device.id == id && own(device.itt));
        for event in its.events.iter().filter(|event| !misled(event.device)) {
            let (device, event, intid, icid) = (event.device, event.event, event.intid, event.icid);
            let text = format!("ITS DeviceID={device:#x} EventID={event}: INTID={intid} ICID={icid}");
            lines.push((text, None));
        }
    }
    for (cpu, redistributor) in gic.redistributors.iter().enumerate().filter(|(_, of)| of.in_use) {
        for (name, span) in
            [("configuration", redistributor.configuration), ("pending", redistributor.pending)]
        {
            lines.push((
                format!("GICR {cpu}: LPI {name} table of {:#x} bytes at ", span.size),
                Some(span.base),
            ));
        }
    }
    lines
}
