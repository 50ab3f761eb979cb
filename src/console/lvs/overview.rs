//! The virtual servers on one screen, or one of them whole.

use super::{Health, View, forwarding, name, state, weight};
use crate::check::Pool;
use crate::console::paint::{Cell, Colour, Paint, Table};
use crate::time::Span;

/// The tables of `keepalite status`.
#[must_use]
pub fn overview(view: &View<'_>, paint: Paint) -> String {
    let mut out = String::new();
    if !view.is_balancing && !view.engine.pools().is_empty() {
        paint.put(
            &mut out,
            Colour::Red,
            "the kernel has no IPVS: nothing is balanced\n\n",
        );
    }
    for (place, pool) in view.engine.pools().iter().enumerate() {
        if place > 0 {
            out.push('\n');
        }
        head(pool, paint, &mut out);
        servers(view, place, pool, paint, &mut out);
    }
    out
}

/// The screen of `keepalite status NAME`; `None` if nothing has this name.
#[must_use]
pub fn whole(view: &View<'_>, wanted: &str, paint: Paint) -> Option<String> {
    let mut out = String::new();
    for (place, pool) in view.pools(wanted) {
        head(pool, paint, &mut out);
        out.push('\n');
        let config = pool.config();
        let mut table = Table::default();
        let mut row = |key: &str, value: String| table.row([key.into(), value.into()]);
        row("scheduler", config.scheduler.to_owned());
        row(
            "quorum",
            format!("{}, and weight {} is up", config.quorum, pool.weight()),
        );
        if let Some(persistence) = config.persistence {
            row("persistence", format!("{}", Span(persistence.timeout)));
        }
        if let Some(sorry) = config.sorry {
            let does = if pool.is_sorry() {
                "serves"
            } else {
                "stands by"
            };
            row(
                "sorry server",
                format!(
                    "{} {does}",
                    core::net::SocketAddr::new(sorry.ip, sorry.port)
                ),
            );
        }
        table.write(paint, &mut out);
        out.push('\n');
        servers(view, place, pool, paint, &mut out);
        view.events.write(&name(pool), view.clock, paint, &mut out);
    }
    (!out.is_empty()).then_some(out)
}

/// `10.0.0.100:80 up, wlc, 2 of 3 servers, weight 200 of quorum 1`
fn head(pool: &Pool, paint: Paint, out: &mut String) {
    let (word, colour) = state(pool);
    let all = pool.servers().len();
    let up = pool
        .servers()
        .iter()
        .filter(|server| server.is_up())
        .count();
    let config = pool.config();
    let (gap, protocol) = config
        .protocol
        .map_or(("", ""), |protocol| (" ", protocol.short()));
    let text = format!(
        "{} {word}{gap}{protocol} {}, {up} of {all} servers, weight {} (quorum {})",
        name(pool),
        config.scheduler,
        pool.weight(),
        config.quorum
    );
    paint.lines(out, &text, word, colour, 0);
}

fn servers(view: &View<'_>, place: usize, pool: &Pool, paint: Paint, out: &mut String) {
    let mut table = Table::with_heads(&[
        "  SERVER", "STATE", "FOR", "WEIGHT", "TO", "ACTIVE", "HEALTH",
    ]);
    for (at, server) in pool.servers().iter().enumerate() {
        let config = server.config();
        let up = if server.is_up() {
            Cell::from("up").coloured(Colour::Green)
        } else {
            Cell::from("down").coloured(Colour::Red)
        };
        let active = view.connections(place, at).map(|c| c.active.to_string());
        table.row([
            format!("  {}", core::net::SocketAddr::new(config.ip, config.port)).into(),
            up,
            Span(view.clock.ago(server.since())).to_string().into(),
            weight(pool, server).to_string().into(),
            forwarding(config.forwarding).into(),
            active.unwrap_or_default().into(),
            Health(view, server).to_string().into(),
        ]);
    }
    if !table.is_empty() {
        table.write(paint, out);
    }
}
