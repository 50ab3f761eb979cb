//! The command line of genhash, by its name, or behind `--genhash` or `genhash` of ours: keepalived's options.

use core::net::IpAddr;
use core::time::Duration;

use crate::argv::{self, Arity, Form};
use crate::model::lvs::HttpProtocol;
use crate::run::genhash::Order;

/// Longer than anybody waits, which is for ever with keepalived.
const FOR_EVER: Duration = Duration::from_secs(86_400);

const FORMS: [Form; 11] = [
    form("help", 'h', Arity::None),
    form("verbose", 'v', Arity::None),
    form("use-ssl", 'S', Arity::None),
    form("use-sni", 'I', Arity::None),
    form("server", 's', Arity::Required),
    form("use-virtualhost", 'V', Arity::Required),
    form("port", 'p', Arity::Required),
    form("url", 'u', Arity::Required),
    form("fwmark", 'm', Arity::Required),
    form("protocol", 'P', Arity::Required),
    form("timeout", 't', Arity::Required),
];

const fn form(long: &'static str, short: char, arity: Arity) -> Form {
    Form {
        long,
        short: Some(short),
        arity,
    }
}

/// What is to be fetched.
///
/// # Errors
/// What to say instead: what is wrong, and the options.
pub(super) fn parse(program: &str, words: Vec<String>) -> Result<Order, String> {
    let refuse = |why: String| format!("{why}\n{}", usage(program));
    let plain = argv::plain(words, &FORMS, &[]).map_err(|misspelt| refuse(misspelt.to_string()))?;
    if !plain.extra.is_empty() {
        let extra = plain.extra.join(" ");
        return Err(refuse(format!("Unexpected argument(s): {extra}")));
    }
    let (mut server, mut port, mut path) = (None, None, None);
    let mut order = Order {
        server: IpAddr::from([0, 0, 0, 0]),
        port: 0,
        path: String::new(),
        host: None,
        tls: false,
        sni: false,
        protocol: HttpProtocol::default(),
        mark: None,
        timeout: FOR_EVER,
        verbose: false,
    };
    let mut options = plain.options.into_iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().unwrap_or_default();
        match option.as_str() {
            "--verbose" => order.verbose = true,
            "--use-ssl" => order.tls = true,
            "--use-sni" => order.sni = true,
            "--server" => server = Some(address(&value()).map_err(refuse)?),
            "--port" => {
                let value = value();
                let number = value.parse().ok().filter(|port| *port > 0);
                port =
                    Some(number.ok_or_else(|| refuse(format!("invalid port number '{value}'")))?);
            }
            "--url" => path = Some(value()),
            "--use-virtualhost" => order.host = Some(value()),
            "--fwmark" => {
                let value = value();
                let mark = value.trim().parse();
                order.mark = Some(mark.map_err(|_| refuse(format!("invalid fwmark '{value}'")))?);
            }
            "--protocol" => order.protocol = protocol(&value()).map_err(refuse)?,
            "--timeout" => {
                let value = value();
                let seconds = value.trim().parse();
                let seconds = seconds.map_err(|_| refuse(format!("invalid timeout '{value}'")))?;
                order.timeout = Duration::from_secs(seconds);
            }
            _ => return Err(usage(program)),
        }
    }
    match (server, port, path) {
        (Some(server), Some(port), Some(path)) => Ok(Order {
            server,
            port,
            path,
            ..order
        }),
        _ => Err(usage(program)),
    }
}

fn address(value: &str) -> Result<IpAddr, String> {
    let ip = value.parse();
    ip.map_err(|_| format!("server should be an IP, not {value}"))
}

fn protocol(value: &str) -> Result<HttpProtocol, String> {
    match value {
        "1.0" => Ok(HttpProtocol::V1_0),
        "1.0c" | "1.0C" => Ok(HttpProtocol::V1_0Close),
        "1.1" => Ok(HttpProtocol::V1_1),
        other => Err(format!("invalid HTTP protocol version '{other}'")),
    }
}

fn usage(program: &str) -> String {
    format!(
        "Usage: {program} -s ADDRESS -p PORT -u PATH [OPTION...]

Prints the MD5 of a web page, for 'digest' of HTTP_GET and SSL_GET.

  -s, --server=ADDRESS        IP address of the server
  -p, --port=PORT             its port
  -u, --url=PATH              the page
  -V, --use-virtualhost=NAME  name of the server in the request
  -S, --use-ssl               ask by TLS
  -I, --use-sni               tell the name also in the handshake of TLS
  -P, --protocol=VERSION      1.0, 1.0c (with 'Connection: close') or 1.1
  -m, --fwmark=MARK           firewall mark of what is sent
  -t, --timeout=SECONDS       most for the connection and for each silence
  -v, --verbose               print also what the server says
  -h, --help                  print this"
    )
}
