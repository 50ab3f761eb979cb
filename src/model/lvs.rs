//! Virtual servers, their pools and the checks of their members.

/// `virtual_server_group`, `virtual_server` and `SSL`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lvs {}
