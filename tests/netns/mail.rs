//! Mails about virtual routers, as a mail server sees them that answers as it should, and as one sees them that does not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::lab::{Daemon, Host, Lab, Program, SOON, with_namespaces};

/// A server on the host: every connection gets the next behaviour; what comes in is told line by line.
fn serve(host: &Host, behaviours: Vec<Behaviour>) -> Receiver<Vec<String>> {
    let listener = host
        .namespace
        .enter(|| TcpListener::bind("127.0.0.1:2525"))
        .unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut behaviours = behaviours.into_iter();
        while let Ok((connection, _)) = listener.accept() {
            let behaviour = behaviours.next().unwrap_or(Behaviour::Polite);
            let tell = tell.clone();
            thread::spawn(move || behaviour.meet(connection, &tell));
        }
    });
    told
}

enum Behaviour {
    /// Answers as it should.
    Polite,
    /// So many right answers, then this one.
    Then(usize, &'static str),
    /// So many right answers, then none, and the connection is closed.
    Close(usize),
    /// So many right answers, then none.
    Silent(usize),
}

/// To the connection, HELO, MAIL FROM, RCPT TO twice, DATA, the message, QUIT.
const ANSWERS: [&str; 8] = [
    "220-mail.example\r\n220 ready\r\n",
    "250 mail.example\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "354 go on\r\n",
    "250 queued\r\n",
    "221 bye\r\n",
];

impl Behaviour {
    fn meet(self, mut connection: TcpStream, tell: &Sender<Vec<String>>) {
        connection.set_read_timeout(Some(SOON)).unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut lines = Vec::new();
        for (number, answer) in ANSWERS.iter().enumerate() {
            match self {
                Self::Then(count, bad) if count == number => {
                    let _ = connection.write_all(bad.as_bytes());
                    read(&mut reader, &mut lines);
                    break;
                }
                Self::Close(count) if count == number => break,
                Self::Silent(count) if count == number => {
                    // Until the other side has had enough.
                    read(&mut reader, &mut lines);
                    break;
                }
                _ => {
                    if connection.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
            let message = number == 5;
            while read(&mut reader, &mut lines) && message && lines.last().unwrap() != ".\r\n" {}
        }
        let _ = tell.send(lines);
    }
}

/// One line as it came, with its end.
fn read(reader: &mut BufReader<TcpStream>, lines: &mut Vec<String>) -> bool {
    let mut line = String::new();
    let came = reader.read_line(&mut line).is_ok_and(|length| length > 0);
    if came {
        lines.push(line);
    }
    came
}

fn configuration(more: &str) -> String {
    format!(
        "global_defs {{\n router_id R1\n notification_email {{\n one@example.com\n two@example.com\n }}\n \
         notification_email_from \"The Router <r1@example.com>\"\n smtp_server 127.0.0.1 2525\n smtp_helo_name r1.example.com\n \
         smtp_connect_timeout 1\n {more}\n}}\n\
         vrrp_sync_group G {{\n group {{\n A\n }}\n smtp_alert\n}}\n\
         vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n priority 100\n version 3\n advert_int 0.05\n smtp_alert\n \
         virtual_ipaddress {{\n 10.0.0.100\n }}\n}}\n"
    )
}

fn alone() -> Lab {
    Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap()
}

fn next(mails: &Receiver<Vec<String>>, daemon: &Daemon) -> Vec<String> {
    let mail = mails.recv_timeout(SOON);
    mail.unwrap_or_else(|_| panic!("no mail came; it said:\n{}", daemon.process.output()))
}

fn subject(mail: &[String]) -> String {
    let found = mail.iter().find_map(|line| line.strip_prefix("Subject: "));
    found.unwrap_or("none").trim_end().to_owned()
}

/// Mails up to the one with this subject.
fn until(mails: &Receiver<Vec<String>>, daemon: &Daemon, wanted: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    loop {
        let mail = next(mails, daemon);
        let found = subject(&mail) == wanted;
        all.push(mail);
        if found {
            return all;
        }
    }
}

#[test]
fn a_mail_tells_of_each_state_in_the_dialogue_and_with_the_headers_that_filters_look_for() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mails = serve(host, Vec::new());
        let mut daemon = host.daemon(Program::Keepalite, &configuration(""));
        let mut all = until(&mails, &daemon, "[R1] VRRP Group G - Entering MASTER state");
        host.plug(false).unwrap();
        all.extend(until(
            &mails,
            &daemon,
            "[R1] VRRP Group G - Entering FAULT state",
        ));
        daemon.terminate();
        all.extend(mails.try_iter());
        let subjects: Vec<String> = all.iter().map(|mail| subject(mail)).collect();
        assert_eq!(
            subjects,
            [
                "[R1] VRRP Instance A - Entering BACKUP state",
                "[R1] VRRP Group G - Entering BACKUP state",
                "[R1] VRRP Instance A - Entering MASTER state",
                "[R1] VRRP Group G - Entering MASTER state",
                "[R1] VRRP Instance A - Entering FAULT state",
                "[R1] VRRP Group G - Entering FAULT state",
                "[R1] VRRP Instance A - Stopping",
                "[R1] VRRP Group G - Stopping",
            ]
        );
        let mut first = all[0].clone();
        let date = first.remove(5);
        assert!(
            date.starts_with("Date: ") && date.ends_with("00\r\n"),
            "{date}"
        );
        assert_eq!(
            first,
            [
                "HELO r1.example.com\r\n",
                "MAIL FROM:<r1@example.com>\r\n",
                "RCPT TO:<one@example.com>\r\n",
                "RCPT TO:<two@example.com>\r\n",
                "DATA\r\n",
                "From: The Router <r1@example.com>\r\n",
                "Subject: [R1] VRRP Instance A - Entering BACKUP state\r\n",
                "X-Mailer: Keepalived\r\n",
                "To: one@example.com, two@example.com\r\n",
                "\r\n",
                "It no longer has the virtual addresses.\r\n",
                ".\r\n",
                "QUIT\r\n",
            ]
        );
    });
}

#[test]
fn subjects_and_headers_are_those_of_keepalived() {
    if !Program::Keepalived.path().exists() {
        eprintln!("SKIPPED: keepalived is not installed, nothing to compare with");
        return;
    }
    with_namespaces(|| {
        let [theirs, ours] = [Program::Keepalived, Program::Keepalite].map(|program| {
            let lab = alone();
            let host = lab.host("one");
            let mails = serve(host, Vec::new());
            // It takes a name into the envelope too, which servers refuse.
            let text = configuration("").replace("The Router <r1@example.com>", "r1@example.com");
            let daemon = host.daemon(program, &text);
            let mut all = until(
                &mails,
                &daemon,
                "[R1] VRRP Instance A - Entering MASTER state",
            );
            host.plug(false).unwrap();
            all.extend(until(
                &mails,
                &daemon,
                "[R1] VRRP Instance A - Entering FAULT state",
            ));
            let of_instance = all.iter().filter(|mail| subject(mail).contains("Instance"));
            let mut seen: Vec<Vec<String>> = of_instance
                .map(|mail| {
                    let head = mail.iter().take_while(|line| *line != "\r\n");
                    head.map(|line| {
                        if line.starts_with("Date: ") {
                            "Date\r\n".to_owned()
                        } else {
                            line.clone()
                        }
                    })
                    .collect()
                })
                .collect();
            // It has a connection for each, so that one may overtake another.
            seen.sort();
            seen
        });
        assert_eq!(ours, theirs);
    });
}

#[test]
fn who_wants_no_mail_of_faults_gets_none() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mails = serve(host, Vec::new());
        let daemon = host.daemon(Program::Keepalite, &configuration("no_email_faults"));
        until(&mails, &daemon, "[R1] VRRP Group G - Entering MASTER state");
        host.plug(false).unwrap();
        daemon.wait_for_words("Entering FAULT STATE");
        host.plug(true).unwrap();
        let after = until(&mails, &daemon, "[R1] VRRP Group G - Entering MASTER state");
        let faults = after.iter().filter(|mail| subject(mail).contains("FAULT"));
        assert_eq!(faults.count(), 0);
    });
}

#[test]
fn smtp_alert_is_a_default_that_an_instance_overrides() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mails = serve(host, Vec::new());
        let text = configuration("smtp_alert off\n smtp_alert_vrrp on")
            .replace("}\n smtp_alert\n}", "}\n}")
            .replace(
                "advert_int 0.05\n smtp_alert\n",
                "advert_int 0.05\n smtp_alert off\n",
            );
        let daemon = host.daemon(Program::Keepalite, &text);
        let all = until(&mails, &daemon, "[R1] VRRP Group G - Entering MASTER state");
        assert!(all.iter().all(|mail| subject(mail).contains("Group")));
    });
}

#[test]
fn a_name_that_no_file_knows_is_asked_for_without_holding_anything_up() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let text = configuration("").replace("127.0.0.1 2525", "mail.invalid 2525");
        let daemon = host.daemon(Program::Keepalite, &text);
        daemon.wait_for_words("by smtp_server mail.invalid 2525: cannot find its address");
        daemon.wait_for_words("Entering MASTER STATE");
    });
}

#[test]
fn a_name_of_the_hosts_file_is_found() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mails = serve(host, Vec::new());
        let text = configuration("").replace("127.0.0.1 2525", "localhost 2525");
        let daemon = host.daemon(Program::Keepalite, &text);
        until(&mails, &daemon, "[R1] VRRP Group G - Entering MASTER state");
    });
}

#[test]
fn a_server_that_is_not_there_costs_a_line_and_no_advert() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let daemon = host.daemon(Program::Keepalite, &configuration(""));
        daemon.wait_for_words("by smtp_server 127.0.0.1 2525: no connection");
        daemon.wait_for_words("Entering MASTER STATE");
        let mails = serve(host, Vec::new());
        host.plug(false).unwrap();
        until(&mails, &daemon, "[R1] VRRP Group G - Entering FAULT state");
    });
}

#[test]
fn a_server_that_misbehaves_at_any_step_costs_a_mail_and_neither_an_advert_nor_the_next_mail() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mut behaviours = vec![
            Behaviour::Then(0, "SSH-2.0-dropbear\r\n"),
            Behaviour::Then(2, "550 no mail from you\r\n"),
            Behaviour::Then(3, "250 ok\r\n250 and more\r\n"),
            Behaviour::Silent(0),
            Behaviour::Silent(5),
        ];
        behaviours.extend((0..=7).map(Behaviour::Close));
        let bad = behaviours.len();
        let mails = serve(host, behaviours);
        let daemon = host.daemon(Program::Keepalite, &configuration(""));
        let mut served = 0;
        let mut plugged = true;
        // A change of state brings a mail, or several; each connection takes one behaviour.
        while served < bad {
            if mails.recv_timeout(Duration::from_millis(400)).is_ok() {
                served += 1;
            } else {
                plugged = !plugged;
                host.plug(plugged).unwrap();
            }
        }
        if plugged {
            host.plug(false).unwrap();
        }
        until(&mails, &daemon, "[R1] VRRP Group G - Entering FAULT state");
        let said = daemon.process.output();
        for words in [
            "its answer to the connection is not SMTP",
            "it refused MAIL FROM: 550 no mail from you",
            "its answer to RCPT TO is not SMTP",
            "it did not answer to the connection",
            "it did not answer to DATA",
            "it hung up instead of answering to the connection",
            "it hung up instead of answering to HELO",
            "it hung up instead of answering to MAIL FROM",
            "it hung up instead of answering to RCPT TO",
            "it hung up instead of answering to DATA",
            "it hung up instead of answering to the message",
        ] {
            assert!(said.contains(words), "never {words:?}:\n{said}");
        }
        assert!(!said.contains("answering to QUIT"), "{said}");
        assert!(!said.contains("woke up"), "{said}");
    });
}

#[test]
fn mails_about_servers_and_quorums_have_the_subjects_of_keepalived() {
    with_namespaces(|| {
        let lab = alone();
        let one = lab.host("one");
        let mails = serve(one, Vec::new());
        let text = "global_defs {\n router_id R1\n notification_email {\n one@example.com\n two@example.com\n }\n \
            smtp_server 127.0.0.1 2525\n}\n\
            virtual_server 10.0.0.100 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n delay_loop 1\n warmup 0\n \
            retry 0\n smtp_alert\n real_server 10.0.0.1 8080 {\n TCP_CHECK {\n connect_timeout 1\n }\n }\n}\n";
        // The host's kernel may lack IPVS: checks and mails go on without.
        let daemon = one.daemon(Program::Keepalite, text);
        let next = || {
            let mail = next(&mails, &daemon);
            (subject(&mail), mail.concat())
        };
        let (pool, server) = ("[10.0.0.100]:tcp:80", "[10.0.0.1]:tcp:8080");
        let expect = |subject: String, text: &str| {
            let (found, whole) = next();
            assert_eq!(found, subject);
            assert!(whole.contains(text), "{whole}");
        };
        expect(
            format!("[R1] Virtualserver {pool} - UP"),
            "=> Starting with quorum up 1+0=1 <= 1 <=",
        );
        expect(
            format!("[R1] Virtualserver {pool} - DOWN"),
            "=> Lost quorum 1-0=1 > 0 <=",
        );
        let of_server =
            |state| format!("[R1] Realserver {server} of virtual server {pool} - {state}");
        expect(
            of_server("DOWN"),
            "=> TCP_CHECK failed on service <=\r\nconnection refused",
        );
        let _server = one
            .namespace
            .enter(|| TcpListener::bind("10.0.0.1:8080"))
            .unwrap();
        expect(
            format!("[R1] Virtualserver {pool} - UP"),
            "=> Gained quorum 1+0=1 <= 1 <=",
        );
        expect(of_server("UP"), "=> TCP_CHECK succeeded on service <=");
    });
}
