//! What waiting costs: no memory, no second thread.

#![allow(clippy::expect_used)]

use core::time::Duration;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::net::UnixDatagram;

use keepalite::run::reactor::{Source, block_on, now, sleep_until};
use smol::future;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_tick_and_a_datagram_take_nothing_from_the_heap_and_no_second_thread() {
    let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a socket of ours");
    let ours = Source::new(ours);
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .map(Iterator::count)
            .ok()
    };
    let before = threads();
    block_on(async {
        let mut at = now();
        let mut counted = 0;
        let (mut ticks, mut datagrams) = (0, 0);
        for round in 0..300 {
            if round == 20 {
                counted = ALLOCATIONS.with(Cell::get);
            }
            let tick = async {
                sleep_until(at).await;
                true
            };
            let datagram = async {
                ours.readable().await.expect("a socket can be waited for");
                false
            };
            if future::or(datagram, tick).await {
                ticks += 1;
                at = at + Duration::from_micros(500);
                theirs.send(b"advert").expect("room in the socket");
            } else {
                datagrams += 1;
                ours.get_ref().recv(&mut [0; 16]).expect("it is readable");
            }
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), counted);
        assert_eq!((ticks, datagrams), (150, 150));
    })
    .expect("epoll works");
    assert_eq!(threads(), before);
}
