//! temp
use crate::model::Global;
use crate::vrrp::{Instance, Told};
/// t
pub struct Notifier;
impl Notifier {
    /// n
    pub fn new(_: &Global) -> Self {
        Self
    }
    /// t
    pub fn tell(&mut self, i: &Instance, s: Told, p: u8) {
        log::info!("notify {} {s:?} {p}", i.config().name);
    }
    /// r
    pub fn reload(&mut self, _: &Global) {}
    /// f
    pub async fn farewell(self) {}
}
