//! The shop's pages: written once, copied into every event that looks at one.

use crate::json::{integer, padded, raw};
use crate::pools::{CATEGORIES, ESCAPED, MAKES, NON_ASCII, THINGS};

/// How many pages the shop has, each with one product.
pub(crate) const N_PAGES: usize = 400;

/// So many of seven pages escape the slashes of their address when another page names it.
const ESCAPING_OF_SEVEN: usize = 3;

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its JSON object, open for the referrer.
    pub(crate) open: Vec<u8>,
    /// Its address where another page names it, without quotes.
    pub(crate) as_referrer: Vec<u8>,
    /// The start of an item of the product: its key and name.
    pub(crate) item: Vec<u8>,
    /// The product's price in cents.
    pub(crate) price: u64,
}

/// All pages, the same for every seed.
pub(crate) fn all() -> Vec<Page> {
    (0..N_PAGES).map(page).collect()
}

/// The page of the `n`th product.
fn page(n: usize) -> Page {
    let (make, thing) = (
        MAKES[n % MAKES.len()],
        THINGS[n / MAKES.len() % THINGS.len()],
    );
    let (slug, category) = CATEGORIES[n * 7 % CATEGORIES.len()];
    let name = name(n, make, thing);
    let url = format!(
        "https://shop.example.com/{slug}/{}-{}-{}",
        make.to_ascii_lowercase(),
        thing.to_ascii_lowercase().replace(' ', "-"),
        10_000 + n * 37
    );
    // Some pages were built with an encoder that escapes slashes.
    let as_referrer = if n % 7 < ESCAPING_OF_SEVEN {
        url.replace('/', r"\/")
    } else {
        url.clone()
    };

    let open = format!(r#"{{"url":"{url}","title":"{name} | {category}","referrer":"#);
    let mut item = Vec::new();
    raw(&mut item, r#"{"sku":"SKU-"#);
    padded(&mut item, (n * 7_919 % 100_000) as u64, 5);
    raw(&mut item, r#"","name":""#);
    raw(&mut item, &name);
    raw(&mut item, r#"","quantity":"#);
    Page {
        open: open.into_bytes(),
        as_referrer: as_referrer.into_bytes(),
        item,
        price: 495 + (n * 7_919 % 240) as u64 * 100,
    }
}

/// The name of the `n`th product: one of three needs an escape, one of six is not in ASCII.
fn name(n: usize, make: &str, thing: &str) -> String {
    let mut name = format!("{make} {thing}");
    if n % 3 == 1 {
        name = format!("{name} {}", ESCAPED[n / 3 % ESCAPED.len()]);
    }
    if n % 6 == 2 {
        name = format!("{name} {}", NON_ASCII[n / 6 % NON_ASCII.len()]);
    }
    name
}

impl Page {
    /// Writes so many of the page's product as an item of a cart or an order.
    pub(crate) fn write_item(&self, quantity: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.item);
        integer(out, quantity);
        raw(out, r#","price":"#);
        crate::json::decimal(out, self.price, 2);
        out.push(b'}');
    }
}
