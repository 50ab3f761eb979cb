//! A judge of packets that is not ours.

use std::process::Command;

use crate::lab::{Frame, Lab, pcap, skip};

/// What tshark is to find nothing of.
const BAD: &str = "_ws.malformed || _ws.expert.severity == error || ip.checksum.status == 0 || vrrp.checksum.status == 0";

/// tshark finds nothing wrong with any of them.
pub(crate) fn finds_nothing(lab: &Lab, frames: &[Frame]) {
    let file = lab.scratch().join("capture.pcap");
    std::fs::write(&file, pcap(frames)).unwrap();
    let output = Command::new("tshark")
        .args(["-n", "-o", "ip.check_checksum:TRUE", "-r"])
        .arg(&file)
        .args(["-Y", BAD, "-T", "text"])
        .output();
    let Ok(output) = output else {
        return skip("tshark is not installed: nobody judged the packets");
    };
    assert!(output.status.success(), "{output:?}");
    let bad = String::from_utf8_lossy(&output.stdout);
    assert_eq!(bad, "", "tshark finds fault");
}
