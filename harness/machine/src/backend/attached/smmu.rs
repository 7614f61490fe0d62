//! Whether an SMMUv3 is where somebody says that it is.

use parallax_addr::PhysAddr;
use parallax_smmu::identity::{IDENTITY, implausible};

use super::{Attached, failed};
use crate::error::MachineError;
use crate::rsp::{RspError, client};

impl Attached {
    /// Why what stands at `base` is no SMMUv3; nothing if it may be one. Only registers that identify it are read, one after the other,
    /// and no more once one is implausible: a read changes some devices.
    ///
    /// # Errors
    /// The connection failed.
    pub fn no_smmu(&mut self, base: PhysAddr) -> Result<Option<String>, MachineError> {
        let client = self.client.get_mut();
        let look = async {
            let mut values = Vec::new();
            for offset in IDENTITY {
                let request = format!("m{:x},4", base.get().wrapping_add(u64::from(*offset)));
                let reply = client.request(&request).await?;
                if reply.starts_with(b"E") {
                    return Ok(Some("no registers are there".to_owned()));
                }
                values.push(client::number(&request, &reply, 4)? as u32);
                if let Some(why) = implausible(&values) {
                    return Ok(Some(why));
                }
            }
            Ok(None)
        };
        let doing = "the SMMU's ID registers were read";
        self.runtime.block_on(look).map_err(|error: RspError| failed(error, doing))
    }
}
