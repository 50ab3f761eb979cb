use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use smol::future;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Gives up after five seconds, so that no test hangs.
fn run<T>(main: impl Future<Output = T>) -> T {
    let limit = async {
        sleep(Duration::from_secs(5)).await;
        panic!("still waiting after five seconds")
    };
    block_on(future::or(main, limit)).unwrap()
}

fn pair() -> (Source<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours), theirs)
}

#[test]
fn sleeps_end_in_the_order_of_their_instants_and_those_of_one_instant_in_the_order_asked() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = now();
    run(async {
        let tasks = [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')].map(|(ms, name)| {
            let order = Rc::clone(&order);
            spawn(async move {
                sleep_until(start + 10 * ms * MS).await;
                order.borrow_mut().push(name);
            })
        });
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(*order.borrow(), ['a', 'b', 'c', 'd']);
    assert!(now() >= start + 30 * MS);
}

#[test]
fn a_sleep_never_ends_early_and_one_that_has_passed_ends_at_once() {
    run(async {
        for _ in 0..50 {
            let at = now() + MS;
            sleep_until(at).await;
            assert!(now() >= at);
        }
        sleep_until(Instant(0)).await;
    });
}

#[test]
fn a_dropped_sleep_leaves_no_timer_behind() {
    run(async {
        let never = sleep(Duration::from_secs(3600));
        future::or(never, sleep(MS)).await;
    });
    REACTOR.with(|reactor| assert!(reactor.timers.borrow().is_empty()));
}

#[test]
fn a_timerfd_does_the_same_where_epoll_pwait2_is_missing() {
    REACTOR.with(|reactor| {
        reactor
            .kernel()
            .unwrap()
            .fall_back()
            .unwrap()
            .fd
            .as_raw_fd()
    });
    run(async {
        for _ in 0..20 {
            let at = now() + MS;
            future::or(sleep_until(at), sleep(Duration::from_secs(9))).await;
            assert!(now() >= at);
        }
    });
}

#[test]
fn what_arrives_wakes_its_reader_as_often_as_it_arrives() {
    let (ours, mut theirs) = pair();
    run(async {
        for byte in 0..100_u8 {
            let waited = spawn(async move {
                sleep_until(Instant(0)).await;
                theirs.write_all(&[byte]).unwrap();
                theirs
            });
            ours.readable().await.unwrap();
            let mut read = [0];
            ours.get_ref().read_exact(&mut read).unwrap();
            assert_eq!(read, [byte]);
            theirs = waited.await;
        }
    });
}

#[test]
fn what_nobody_waits_for_does_not_keep_the_loop_awake() {
    let (ours, mut theirs) = pair();
    run(async {
        theirs.write_all(b"twice").unwrap();
        ours.readable().await.unwrap();
        // Left unread, and no longer waited for.
        sleep(2 * MS).await;
        REACTOR.with(|reactor| {
            let sources = reactor.sources.borrow();
            assert_eq!(sources[ours.slot].as_ref().unwrap().armed, 0);
        });
        ours.readable().await.unwrap();
        let mut read = [0; 5];
        ours.get_ref().read_exact(&mut read).unwrap();
    });
}

#[test]
fn a_hang_up_wakes_reader_and_writer() {
    let (ours, theirs) = pair();
    run(async {
        drop(theirs);
        ours.writable().await.unwrap();
        ours.readable().await.unwrap();
        assert_eq!(ours.get_ref().read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_writer_waits_until_there_is_room() {
    let (ours, mut theirs) = pair();
    run(async {
        let block = [0; 4096];
        let mut sent = 0;
        while let Ok(n) = ours.get_ref().write(&block) {
            sent += n;
        }
        let reader = spawn(async move {
            sleep(MS).await;
            theirs.read_exact(&mut vec![0; sent]).unwrap();
            theirs
        });
        ours.writable().await.unwrap();
        assert!(ours.get_ref().write(&block).is_ok());
        reader.await;
    });
}

#[test]
fn a_source_gives_its_place_back() {
    let (first, _peer) = pair();
    let slot = first.slot;
    drop(first);
    let (second, _peer) = pair();
    assert_eq!(second.slot, slot);
}

#[test]
fn a_regular_file_is_refused_with_an_error() {
    let file = Source::new(std::fs::File::open("/proc/self/exe").unwrap());
    let error = run(file.readable()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn tasks_that_wake_each_other_do_not_starve_the_clock() {
    run(async {
        let busy = spawn(async {
            loop {
                future::yield_now().await;
            }
        });
        sleep(2 * MS).await;
        busy.cancel().await;
    });
}

#[test]
fn a_cancelled_task_drops_what_it_held() {
    let held = Rc::new(());
    let copy = Rc::clone(&held);
    run(async {
        let task = spawn(async move {
            let _copy = copy;
            future::pending::<()>().await;
        });
        future::yield_now().await;
        task.cancel().await;
    });
    assert_eq!(Rc::strong_count(&held), 1);
}
