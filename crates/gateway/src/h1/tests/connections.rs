//! One connection, polled by hand.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::h1::{Conn, READ_WINDOW, WRITE_WINDOW};

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

#[test]
fn silence_costs_no_memory() {
    run(async {
        let (mut peer, io) = duplex(1024);
        let mut conn = Conn::new(io);
        assert!(conn.poll_fill(&mut cx()).is_pending());
        assert_eq!(conn.rbuf().capacity(), 0);
        peer.write_all(b"hello").await.unwrap();
        assert_eq!(poll_fn(|cx| conn.poll_fill(cx)).await.unwrap(), 5);
        assert_eq!(conn.buffered(), b"hello");
        assert!(conn.rbuf().capacity() <= 1024, "a slow head holds little");
        conn.park();
        assert_eq!(conn.buffered(), b"hello", "what was read is kept");
        assert!(!format!("{conn:?}").contains("hello"), "and not shown");
        conn.rbuf().clear();
        conn.park();
        assert_eq!(conn.rbuf().capacity() + conn.wbuf().capacity(), 0);
        drop(peer);
        assert_eq!(poll_fn(|cx| conn.poll_fill(cx)).await.unwrap(), 0);
        assert!(conn.is_eof());
        assert_eq!(poll_fn(|cx| conn.poll_fill(cx)).await.unwrap(), 0, "and again");
    });
}

#[test]
fn reading_stops_at_the_window() {
    run(async {
        let (mut peer, io) = duplex(2 * READ_WINDOW);
        let sent: Vec<u8> =
            (0..2 * READ_WINDOW).map(|at| u8::try_from(at % 251).unwrap()).collect();
        peer.write_all(&sent).await.unwrap();
        let mut conn = Conn::new(io);
        while conn.buffered().len() < READ_WINDOW {
            assert!(poll_fn(|cx| conn.poll_fill(cx)).await.unwrap() > 0);
        }
        assert_eq!(conn.buffered(), &sent[..READ_WINDOW]);
        let Poll::Ready(Err(error)) = conn.poll_fill(&mut cx()) else { panic!("read on") };
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        let mut got = conn.rbuf().split().to_vec();
        while got.len() < sent.len() {
            assert!(poll_fn(|cx| conn.poll_fill(cx)).await.unwrap() > 0);
            got.extend_from_slice(&conn.rbuf().split());
        }
        assert_eq!(got, sent);
    });
}

#[test]
fn a_held_head_does_not_disturb_what_is_read_behind_it() {
    run(async {
        let (mut peer, io) = duplex(64);
        let mut conn = Conn::new(io);
        peer.write_all(b"headbody").await.unwrap();
        poll_fn(|cx| conn.poll_fill(cx)).await.unwrap();
        let head = conn.rbuf().split_to(4);
        let mut got = Vec::new();
        for part in 0..500_u16 {
            peer.write_all(&part.to_be_bytes().repeat(8)).await.unwrap();
            poll_fn(|cx| conn.poll_fill(cx)).await.unwrap();
            got.extend_from_slice(&conn.rbuf().split());
        }
        assert_eq!((&head[..], &got[..4], got.len()), (&b"head"[..], &b"body"[..], 4 + 500 * 16));
    });
}

#[test]
fn writing_waits_for_room_and_loses_nothing() {
    run(async {
        let (mut peer, io) = duplex(100);
        let mut conn = Conn::new(io);
        assert!(conn.poll_ready(&mut cx()).is_ready());
        let sent: Vec<u8> =
            (0..WRITE_WINDOW + 5).map(|at| u8::try_from(at % 251).unwrap()).collect();
        conn.wbuf().extend_from_slice(&sent);
        assert!(conn.poll_ready(&mut cx()).is_ready(), "100 bytes went, and the rest is below");
        assert!(conn.poll_flush(&mut cx()).is_pending());
        let mut got = vec![0; sent.len()];
        let (read, ()) = tokio::join!(peer.read_exact(&mut got), async {
            poll_fn(|cx| conn.poll_flush(cx)).await.unwrap();
            assert_eq!(conn.unwritten(), 0);
        });
        read.unwrap();
        assert_eq!(got, sent);
        conn.wbuf().extend_from_slice(b"bye");
        poll_fn(|cx| conn.poll_shutdown(cx)).await.unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye");
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    run(async {
        let (peer, io) = duplex(100);
        let mut conn = Conn::new(io);
        drop(peer);
        conn.wbuf().extend_from_slice(b"x");
        assert!(poll_fn(|cx| conn.poll_flush(cx)).await.is_err());
    });
}

#[test]
fn an_upgrade_hands_over_what_was_read() {
    run(async {
        let (mut peer, io) = duplex(100);
        let mut conn = Conn::with_read(io, BytesMut::from(&b"first "[..]));
        peer.write_all(b"second").await.unwrap();
        poll_fn(|cx| conn.poll_fill(cx)).await.unwrap();
        conn.wbuf().extend_from_slice(b"unsent");
        let (_, read, unwritten) = conn.into_parts();
        assert_eq!((&read[..], &unwritten[..]), (&b"first second"[..], &b"unsent"[..]));
    });
}
