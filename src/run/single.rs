//! `--single`: all parts in one process and one loop.

use core::cell::RefCell;
use std::rc::Rc;

use smol::future;

use super::mailbox::Mailbox;
use super::options::Options;
use super::signal::{Signal, Signals};
use super::supervise::Role;
use super::{fifo_script, is_asked, serve};
use crate::config::Loaded;
use crate::error::Exit;
use crate::model::Model;

/// What a part gets from outside.
#[derive(Clone, Default)]
struct Desk {
    orders: Mailbox<Signal>,
    /// The configuration to go on with.
    model: Rc<RefCell<Option<Box<Model>>>>,
}

/// Desks by role, as far as it is in this build and not ruled out by the options.
struct Office {
    vrrp: Option<Desk>,
    checkers: Option<Desk>,
}

impl Office {
    fn new(options: &Options) -> Self {
        let desk = |role: Role| (role.is_built() && is_asked(role, options)).then(Desk::default);
        Self {
            vrrp: desk(Role::Vrrp),
            checkers: desk(Role::Checkers),
        }
    }

    /// Gives everybody his part of a configuration.
    fn deal(&self, mut model: Box<Model>, options: &Options) {
        if let Some(desk) = &self.checkers {
            let mut part = Box::new(Model {
                global: model.global.clone(),
                files: model.files.clone(),
                lvs: core::mem::take(&mut model.lvs),
                ..Model::default()
            });
            part.global.fifo.script = fifo_script(&model, options);
            *desk.model.borrow_mut() = Some(part);
        }
        if let Some(desk) = &self.vrrp {
            *desk.model.borrow_mut() = Some(model);
        }
    }

    fn order(&self, signal: Signal) {
        for desk in [&self.vrrp, &self.checkers].into_iter().flatten() {
            desk.orders.post(signal);
        }
    }

    /// The end of one part is the end of all.
    async fn work(&self, role: Role, options: &Options) -> Exit {
        let desk = match role {
            Role::Vrrp => &self.vrrp,
            Role::Checkers => &self.checkers,
        };
        let Some(desk) = desk else { return Exit::Ok };
        let Some(model) = desk.model.take() else {
            return Exit::Ok;
        };
        let mut orders = desk.orders.clone();
        let exit = serve(role, options, model, &mut orders, || desk.model.take()).await;
        self.order(Signal::Stop);
        exit
    }
}

/// Does the work of all roles until a signal stops it. `read` gives the configuration to go on with at a reload, or
/// `None` after having said why not.
pub async fn run(
    options: &Options,
    model: Box<Model>,
    signals: &mut Signals,
    mut read: impl FnMut() -> Option<Loaded>,
) -> Exit {
    let office = Office::new(options);
    office.deal(model, options);
    let pass_on = async {
        loop {
            match signals.next().await {
                Ok(Signal::Reload) => {
                    if let Some(loaded) = read() {
                        office.deal(loaded.into_model(), options);
                        office.order(Signal::Reload);
                    }
                }
                Ok(signal) => office.order(signal),
                Err(error) => {
                    log::error!("cannot wait for signals: {error}");
                    return Exit::Internal;
                }
            }
        }
    };
    let vrrp = Box::pin(office.work(Role::Vrrp, options));
    let checkers = Box::pin(office.work(Role::Checkers, options));
    let work = async {
        let (vrrp, checkers) = future::zip(vrrp, checkers).await;
        if vrrp == Exit::Ok { checkers } else { vrrp }
    };
    future::or(work, pass_on).await
}
