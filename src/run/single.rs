//! `--single`: all parts in one process and one loop.

use core::cell::RefCell;
use std::rc::Rc;

use smol::future;

use super::configuration::Refused;
use super::control::{Call, Desk, Inbox, Line, Part};
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
struct Seat {
    orders: Mailbox<Signal>,
    /// The configuration to go on with.
    model: Rc<RefCell<Option<Box<Model>>>>,
    inbox: Inbox,
}

/// Seats by role, as far as it is in this build and not ruled out by the options.
struct Office {
    vrrp: Option<Seat>,
    checkers: Option<Seat>,
}

impl Office {
    fn new(options: &Options) -> Self {
        let seat = |role: Role| (role.is_built() && is_asked(role, options)).then(Seat::default);
        Self {
            vrrp: seat(Role::Vrrp),
            checkers: seat(Role::Checkers),
        }
    }

    /// Gives everybody his part of a configuration.
    fn deal(&self, mut model: Box<Model>, options: &Options) {
        if let Some(seat) = &self.checkers {
            let mut part = Box::new(Model {
                global: model.global.clone(),
                files: model.files.clone(),
                lvs: core::mem::take(&mut model.lvs),
                ..Model::default()
            });
            part.global.fifo.script = fifo_script(&model, options);
            *seat.model.borrow_mut() = Some(part);
        }
        if let Some(seat) = &self.vrrp {
            *seat.model.borrow_mut() = Some(model);
        }
    }

    /// Where the parts can be asked.
    fn lines(&self) -> Vec<(Role, Rc<Line>)> {
        let all = [(Role::Vrrp, &self.vrrp), (Role::Checkers, &self.checkers)];
        let lines = all.into_iter().filter_map(|(role, seat)| {
            let inbox = seat.as_ref()?.inbox.clone();
            Some((role, Rc::new(Line::Here(inbox))))
        });
        lines.collect()
    }

    fn order(&self, signal: Signal) {
        for seat in [&self.vrrp, &self.checkers].into_iter().flatten() {
            seat.orders.post(signal);
        }
    }

    /// The end of one part is the end of all.
    async fn work(&self, role: Role, options: &Options) -> Exit {
        let seat = match role {
            Role::Vrrp => &self.vrrp,
            Role::Checkers => &self.checkers,
        };
        let Some(seat) = seat else { return Exit::Ok };
        let Some(model) = seat.model.take() else {
            return Exit::Ok;
        };
        let mut orders = seat.orders.clone();
        let exit = serve(role, options, model, &mut orders, &seat.inbox, || {
            seat.model.take()
        })
        .await;
        self.order(Signal::Stop);
        exit
    }
}

/// What the process as a whole is told.
enum Event {
    Signal(Signal),
    Asked(Call),
}

/// Does the work of all roles until a signal stops it; they can be asked at the `desk`. `read` gives the configuration to go on with
/// at a reload, or what is wrong with it.
pub async fn run(
    options: &Options,
    model: Box<Model>,
    signals: &mut Signals,
    desk: &Desk,
    mut read: impl FnMut() -> Result<Loaded, Refused>,
) -> Exit {
    let office = Office::new(options);
    office.deal(model, options);
    *desk.lines.borrow_mut() = office.lines();
    let pass_on = async {
        loop {
            let signal = async { signals.next().await.map(Event::Signal) };
            let asked = async { Ok(Event::Asked(desk.reloads.next().await)) };
            match future::or(signal, asked).await {
                Ok(Event::Signal(Signal::Reload)) => {
                    if let Ok(loaded) = read() {
                        office.deal(loaded.into_model(), options);
                        office.order(Signal::Reload);
                    }
                }
                Ok(Event::Signal(signal)) => office.order(signal),
                // The desk asks every part to go on with it.
                Ok(Event::Asked(call)) => {
                    let part = match read() {
                        Ok(loaded) => {
                            office.deal(loaded.into_model(), options);
                            Part::default()
                        }
                        Err(refused) => refused.part(call.request.form),
                    };
                    call.reply(part);
                }
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
