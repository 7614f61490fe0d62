//! The documents of a target description, as a gdbstub hands them out.

use super::client::{Client, RspError, refused};
use super::packet::MAX_DECODED;
use super::target::TargetDescription;

/// Documents of a target description, at most: QEMU has about ten.
const MOST_DOCUMENTS: usize = 64;

impl Client {
    /// Fetches the target description.
    ///
    /// # Errors
    /// The connection failed or the description is malformed.
    pub async fn target_description(&mut self) -> Result<TargetDescription, RspError> {
        let mut target = TargetDescription::default();
        for (_, xml) in self.documents().await? {
            target.add(&xml)?;
        }
        Ok(target)
    }

    /// Fetches the documents of the target description with their names, `target.xml` first.
    ///
    /// # Errors
    /// The connection failed or the description is malformed.
    pub async fn documents(&mut self) -> Result<Vec<(String, String)>, RspError> {
        let mut queue = vec!["target.xml".to_owned()];
        let mut documents: Vec<(String, String)> = Vec::new();
        while !queue.is_empty() {
            let name = queue.remove(0);
            if documents.iter().all(|(known, _)| *known != name) {
                if documents.len() >= MOST_DOCUMENTS {
                    let why = format!("(more than {MOST_DOCUMENTS} documents)");
                    return Err(refused("qXfer:features:read", why.as_bytes()));
                }
                let xml = self.read_feature(&name).await?;
                queue.extend(TargetDescription::default().add(&xml)?);
                documents.push((name, xml));
            }
        }
        Ok(documents)
    }

    async fn read_feature(&mut self, name: &str) -> Result<String, RspError> {
        let mut text = Vec::new();
        loop {
            let request = format!("qXfer:features:read:{name}:{:x},ff0", text.len());
            let reply = self.request(&request).await?;
            let (more, part) = match reply.split_first() {
                Some((b'm', part)) if !part.is_empty() => (true, part),
                Some((b'l', part)) => (false, part),
                _ => return Err(refused(&request, &reply)),
            };
            text.extend_from_slice(part);
            if !more || text.len() > MAX_DECODED {
                return String::from_utf8(text).map_err(|_| refused(&request, b"(not UTF-8)"));
            }
        }
    }
}
