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
/// Different paths that one address asks for in vain before it is one that looks around, as [`Different`] counts them.
const LOOKS_AROUND: f64 = 16.0;

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

/// Requests in vain, by address: behind a proxy that of all clients together.
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
    /// Paths of the others.
    paths: Different,
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
    /// Whether nobody else asks from here: at least half of the requests are for what is known, or most are, or are for a path
    /// each. Clients that miss something ask for it again and again.
    fn only_scans(&self) -> bool {
        let (known, half) = (self.known.count as f64, self.all.count as f64 / 2.0);
        let paths = self.paths.estimate();
        known >= half || paths >= LOOKS_AROUND && known + paths > half
    }

    fn noise(&self) -> Requests {
        if self.only_scans() { self.all } else { self.known }
    }

    fn sums(&self) -> Sums {
        let noise = self.noise();
        Sums { noise, other_errors: self.all.errors - noise.errors }
    }
}

/// How many different values there are, about: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007). With 64 registers an
/// estimate is off by 13 % (standard error), by less where there are few.
#[derive(Debug, Clone, Copy)]
struct Different([u8; 64]);

impl Default for Different {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Different {
    fn add(&mut self, hash: u64) {
        let (register, rest) = (&mut self.0[(hash % 64) as usize], hash >> 6);
        *register = (*register).max(rest.trailing_zeros().min(57) as u8 + 1);
    }

    fn estimate(&self) -> f64 {
        let registers = self.0.len() as f64;
        let empty = self.0.iter().filter(|r| **r == 0).count() as f64;
        let all = 0.709 * registers * registers / self.0.iter().map(|r| (-f64::from(*r)).exp2()).sum::<f64>();
        // Linear counting (Whang, Vander-Zanden, Taylor 1990).
        if all <= 2.5 * registers && empty > 0.0 { registers * (registers / empty).ln() } else { all }
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
        } else {
            client.paths.add(hash(path));
        }
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
            self.gone_addresses += u32::from(sums.noise.count > 0);
        }
    }

    /// What is noise, and the number of errors that are none of it.
    pub(super) fn finish(&self) -> (Option<ScanNoise>, u64) {
        let mut sums = self.gone;
        let mut scanners: Vec<(&[u8], u64)> = Vec::new();
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by(|a, b| a.0.cmp(b.0));
        for (address, client) in clients {
            let own = client.sums();
            sums.noise.add(own.noise);
            sums.other_errors += own.other_errors;
            if own.noise.count > 0 {
                scanners.push((address, own.noise.count));
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
}

/// FNV-1a, mixed by the end of MurmurHash3: each bit of the path changes each of the hash.
fn hash(path: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in path {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
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

    /// An ingress has one address for all who come through it.
    #[test]
    fn one_probe_behind_a_proxy_hides_no_errors() {
        let proxy = "10.244.0.7";
        let scripts = ["/static/app.1.js", "/static/app.2.js", "/checkout.php"];
        let mut all: Vec<(&str, &str)> = (0..3_000).map(|i| (proxy, scripts[i % 3])).collect();
        assert_eq!(scanned(&all), (None, 3_000), "a page of PHP is missed as any other");
        all.extend([(proxy, "/.env"), (proxy, "/a"), (proxy, "/b")]);
        let (noise, others) = scanned(&all);
        let noise = noise.unwrap();
        assert_eq!((noise.requests, noise.errors, noise.addresses, others), (1, 1, 1, 3_002));
        assert_eq!((noise.busiest.as_str(), noise.of_busiest), (proxy, 1));
        // Many paths beside, too: they are few of all.
        let paths: Vec<String> = (0..40).map(|i| format!("/guess/{i}")).collect();
        all.extend(paths.iter().map(|path| (proxy, path.as_str())));
        assert_eq!(scanned(&all).1, 3_042);
        // Scripts that were left behind by others are guessed.
        let shells: Vec<String> = (0..40).map(|i| format!("/sh{i}.php")).collect();
        let guessed: Vec<(&str, &str)> = shells.iter().map(|path| ("198.51.100.7", path.as_str())).collect();
        assert_eq!(scanned(&guessed).1, 0);
    }

    #[test]
    fn different_paths_are_counted_about() {
        for number in [0, 1, 8, 12, 20, 40, 100, 300, 1_000, 100_000] {
            let mut paths = Different::default();
            for _ in 0..3 {
                (0..number).for_each(|i| paths.add(hash(format!("/guess/{i}").as_bytes())));
            }
            let (number, estimate) = (f64::from(number), paths.estimate());
            assert!((estimate - number).abs() <= 0.3 * number, "{number}: {estimate}");
        }
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
