//! Tells those who look for weak spots of a web server from clients that miss something.

use std::collections::{BTreeSet, HashMap};

use super::ScanNoise;
use super::access::Request;

/// Addresses that are watched at once.
const CLIENTS: usize = 512;
/// Paths that are named.
const PATHS: usize = 5;
/// Characters of a path that are kept.
const LONGEST_PATH: usize = 60;
/// Different paths that one address asks for in vain before it is one that looks around.
const LOOKS_AROUND: u32 = 16;

/// Beginnings of paths that nobody asks for who wants to use a site, in lower case: secrets that were left lying, and
/// doors of software with known holes.
const BEGINNINGS: [&str; 40] = [
    "/.env",
    "/.git",
    "/.svn",
    "/.hg",
    "/.aws",
    "/.ssh",
    "/.docker",
    "/.kube",
    "/.vscode",
    "/.ds_store",
    "/.htpasswd",
    "/.htaccess",
    "/wp-",
    "/wordpress",
    "/xmlrpc.php",
    "/phpmyadmin",
    "/pma/",
    "/myadmin",
    "/mysql",
    "/adminer",
    "/vendor/phpunit",
    "/phpinfo",
    "/phpunit",
    "/cgi-bin",
    "/boaform",
    "/hnap1",
    "/goform",
    "/solr/",
    "/jenkins",
    "/manager/html",
    "/owa/",
    "/autodiscover",
    "/ecp/",
    "/remote/login",
    "/_ignition",
    "/telescope",
    "/sdk",
    "/evox",
    "/shell",
    "/setup.cgi",
];
/// What stands anywhere in such a path.
const PARTS: [&str; 13] = [
    "/.env",
    "/.git/",
    "../",
    "..%2f",
    "%2e%2e",
    "/etc/passwd",
    "/wp-login",
    "/wp-admin",
    "/wp-content",
    "eval-stdin",
    "/phpmyadmin",
    "\\x16\\x03",
    "jndi:",
];

/// Requests in vain, by address.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    clients: HashMap<Box<[u8]>, Client>,
    /// Of addresses that had to make room.
    gone: Sums,
    gone_addresses: u32,
    paths: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Client {
    all: Requests,
    /// For what nobody asks for who wants to use a site.
    known: Requests,
    /// A bit for each path, by its hash: linear counting (Whang, Vander-Zanden, Taylor 1990).
    paths: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    count: u64,
    errors: u64,
}

impl Requests {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.errors += other.errors;
    }
}

/// Requests of those who scan, and errors of others.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    noise: Requests,
    other_errors: u64,
}

impl Client {
    fn scans(&self) -> bool {
        self.known.count > 0 || self.paths.count_ones() >= LOOKS_AROUND
    }

    fn sums(&self) -> Sums {
        let noise = if self.scans() { self.all } else { Requests::default() };
        Sums { noise, other_errors: self.all.errors - noise.errors }
    }
}

impl Scan {
    /// Takes in a request for what is not there or not allowed; `is_error` where the server called it an error.
    pub(super) fn add(&mut self, request: &Request<'_>, is_error: bool) {
        let path = request.path.split(|b| *b == b'?').next().unwrap_or_default();
        let known = is_known(path);
        if known && self.paths.len() < PATHS {
            let text = String::from_utf8_lossy(&path[..path.len().min(LONGEST_PATH)]);
            self.paths.insert(text.chars().filter(|c| !c.is_control()).collect());
        }
        let one = Requests { count: 1, errors: u64::from(is_error) };
        let client = self.client(request.client);
        client.all.add(one);
        if known {
            client.known.add(one);
        }
        client.paths |= 1 << (hash(path) % 64);
    }

    fn client(&mut self, address: &[u8]) -> &mut Client {
        let address = &address[..address.len().min(64)];
        if !self.clients.contains_key(address) && self.clients.len() >= CLIENTS {
            self.forget_one();
        }
        self.clients.entry(address.into()).or_default()
    }

    fn forget_one(&mut self) {
        let quietest = self.clients.iter().min_by(|a, b| (a.1.all.count, a.0).cmp(&(b.1.all.count, b.0)));
        let Some(address) = quietest.map(|(address, _)| address.clone()) else { return };
        if let Some(client) = self.clients.remove(&address) {
            let sums = client.sums();
            self.gone.noise.add(sums.noise);
            self.gone.other_errors += sums.other_errors;
            self.gone_addresses += u32::from(client.scans());
        }
    }

    /// Whether the address of a request scans, and what of its requests are errors that are none.
    pub(super) fn finish(&self) -> (Option<ScanNoise>, u64) {
        let mut sums = self.gone;
        let mut scanners: Vec<(&[u8], u64)> = Vec::new();
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by(|a, b| a.0.cmp(b.0));
        for (address, client) in clients {
            let own = client.sums();
            sums.noise.add(own.noise);
            sums.other_errors += own.other_errors;
            if client.scans() {
                scanners.push((address, client.all.count));
            }
        }
        if sums.noise.count == 0 {
            return (None, sums.other_errors);
        }
        let busiest = scanners.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)));
        let noise = ScanNoise {
            requests: sums.noise.count,
            errors: sums.noise.errors,
            addresses: self.gone_addresses + scanners.len() as u32,
            busiest: busiest.map(|(a, _)| String::from_utf8_lossy(a).into_owned()).unwrap_or_default(),
            of_busiest: busiest.map_or(0, |(_, count)| *count),
            paths: self.paths.iter().cloned().collect(),
        };
        (Some(noise), sums.other_errors)
    }
}

fn is_known(path: &[u8]) -> bool {
    let path = path[..path.len().min(200)].to_ascii_lowercase();
    BEGINNINGS.iter().any(|b| path.starts_with(b.as_bytes()))
        || PARTS.iter().any(|p| memchr::memmem::find(&path, p.as_bytes()).is_some())
        || path.ends_with(b".php")
}

fn hash(path: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in path {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(requests: &[(&str, &str)]) -> (Option<ScanNoise>, u64) {
        let mut scan = Scan::default();
        for (client, path) in requests {
            let request = Request {
                client: client.as_bytes(),
                method: b"GET",
                path: path.as_bytes(),
                status: 404,
                why: b"",
            };
            scan.add(&request, true);
        }
        scan.finish()
    }

    #[test]
    fn who_asks_for_secrets_scans_and_who_misses_a_picture_does_not() {
        let (noise, others) =
            scanned(&[("198.51.100.7", "/.env?x=1"), ("198.51.100.7", "/about"), ("10.0.0.1", "/logo.png")]);
        let noise = noise.unwrap();
        assert_eq!((noise.requests, noise.errors, noise.addresses, others), (2, 2, 1, 1));
        assert_eq!((noise.busiest.as_str(), noise.of_busiest), ("198.51.100.7", 2));
        assert_eq!(noise.paths, ["/.env"]);
    }

    #[test]
    fn who_asks_for_very_many_paths_scans() {
        let paths: Vec<String> = (0..40).map(|i| format!("/guess/{i}")).collect();
        let many: Vec<(&str, &str)> = paths.iter().map(|p| ("198.51.100.7", p.as_str())).collect();
        assert_eq!(scanned(&many).0.unwrap().requests, 40);
        let one: Vec<(&str, &str)> = (0..40).map(|_| ("10.0.0.1", "/logo.png")).collect();
        assert_eq!(scanned(&one), (None, 40));
    }

    #[test]
    fn very_many_addresses_need_no_more_memory() {
        let mut scan = Scan::default();
        for i in 0..5_000_u32 {
            let address = format!("198.51.{}.{}", i / 250, i % 250);
            let path: &[u8] = if i % 2 == 0 { b"/wp-login.php" } else { b"/logo.png" };
            scan.add(
                &Request { client: address.as_bytes(), method: b"GET", path, status: 404, why: b"" },
                true,
            );
        }
        assert!(scan.clients.len() <= CLIENTS);
        let (noise, others) = scan.finish();
        let noise = noise.unwrap();
        assert_eq!((noise.requests, noise.addresses, others), (2_500, 2_500, 2_500));
    }
}
