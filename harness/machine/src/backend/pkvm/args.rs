//! QEMU's argument vector for a kernel with pKVM.
//!
//! Time follows the instruction count. A sleeping machine waits, though (`sleep=on`): QEMU 10.0 hangs when time is to jump while a CPU
//! has its interrupts masked, as one has that performs an operation.

use std::ffi::OsString;
use std::path::Path;

use parallax_trace::spec::MachineSpec;

use super::Form;
use crate::qemu::args::{Args, Paths};

/// The kernel's command line. Its driver of the SMMU lets devices without a driver by, as it does not know what they may reach.
const APPEND: &str = "console=ttyAMA0 kvm-arm.mode=protected nokaslr iommu.passthrough=1";

/// The CPU model `max`, with a fast pointer authentication algorithm.
const MAX: &str = "max,pauth-impdef=on,sme=off";

/// The arguments for the machine `spec`; `paths.hyp` is the kernel, `initrd` its initramfs. What that says goes to `channel`.
pub(super) fn arguments(
    (spec, forms): (&MachineSpec, &[Form]),
    paths: &Paths<'_>,
    initrd: &Path,
    channel: &Path,
) -> Vec<OsString> {
    let mut args = Args::machine(spec, paths, true);
    // The last one counts: this target walks 52-bit tables as they come.
    if spec.cpu == "max" {
        let more: String = forms.iter().map(|form| form.property()).collect();
        args.pair("-cpu", &format!("{MAX}{more}"));
    }
    args.pair("-accel", "tcg,thread=single");
    args.pair("-icount", "shift=1,sleep=on");
    args.pair("-seed", "1");
    args.pair("-rtc", "base=2020-01-01,clock=vm");
    for (index, device) in spec.devices.iter().enumerate() {
        args.device(index, *device);
    }
    args.with_path("-chardev", "file,id=channel0,path=", channel, "");
    args.pair("-serial", "chardev:channel0");
    args.0.extend(["-kernel".into(), paths.hyp.into(), "-initrd".into(), initrd.into()]);
    let more: String = forms.iter().map(|form| form.append()).collect();
    args.pair("-append", &format!("{APPEND}{more}"));
    if let Some((plugin, files)) = paths.plugin {
        args.plugin(plugin, files);
    }
    args.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_protected_and_has_two_serial_ports() {
        let path = Path::new;
        let paths = Paths {
            tree: None,
            plugin: None,
            hyp: path("Image"),
            payload: path(""),
            ram: path("ram"),
            gdb: path("gdb"),
            qmp: path("qmp"),
            uart: path("uart"),
        };
        let spec = MachineSpec::default();
        let line = |forms: &[Form]| {
            let args = arguments((&spec, forms), &paths, path("initrd"), path("a,b"));
            args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        let forms = line(&[Form::Nvhe, Form::NoLpa2]);
        assert!(forms.contains("sme=off,lpa2=off ") && forms.ends_with(" id_aa64mmfr1.vh=0"), "{forms}");
        let line = line(&[]);
        for part in
            ["virtualization=on", "-kernel Image -initrd initrd", "mode=protected", "path=a,,b -serial"]
        {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
        assert_eq!(line.matches("-serial").count(), 2);
    }
}
