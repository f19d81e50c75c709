//! Users and their sessions: what stays the same from one event of a visit to the next.

use crate::json::{boolean, decimal, hex, integer, padded, raw, signed_decimal};
use crate::page::N_PAGES;
use crate::pools::{CAMPAIGNS, CITIES, CURRENCIES, DEVICES, Device, LOCALES, PLANS, REFERRERS};
use crate::random::Random;

/// How many people the shop knows.
const N_USERS: u64 = 50_000;

/// Sessions have one event at least, and on average this many more.
const MEAN_FURTHER_EVENTS: u64 = 12;

/// One visit.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// From the user up to the number of the event in the session.
    pub(crate) head: Vec<u8>,
    /// From behind that number up to the page.
    pub(crate) tail: Vec<u8>,
    /// The page that linked here, as JSON.
    pub(crate) entry_referrer: &'static str,
    /// The cart's key and money.
    pub(crate) cart: u64,
    pub(crate) currency: &'static str,
    /// What the cart is worth, in cents, and which page's product is in it how often.
    pub(crate) cart_value: u64,
    pub(crate) cart_items: Vec<(usize, u64)>,
    /// The number of the next event, from 1.
    pub(crate) sequence: u64,
    /// How many events are still to come.
    pub(crate) n_left: u64,
    /// When the last event was.
    pub(crate) time_ms: i64,
    /// The page being looked at, and the one before.
    pub(crate) page: usize,
    pub(crate) page_before: Option<usize>,
}

impl Session {
    /// Begins another visit in place of this one, at the given time.
    pub(crate) fn begin(&mut self, random: &mut Random, time_ms: i64) {
        let user = random.skewed(N_USERS);
        // The same person has the same town, device and plan on every visit, whatever the seed.
        let mut person = Random::new(user ^ 0x00c0_ffee);

        self.write_head(user, &mut person, random);
        self.write_tail(&mut person, random);
        self.entry_referrer = if random.chance(300) {
            ""
        } else {
            random.pick(&REFERRERS)
        };
        self.cart = random.bits();
        self.currency = CURRENCIES[person.skewed(CURRENCIES.len() as u64) as usize];
        self.cart_value = 0;
        self.cart_items.clear();
        self.sequence = 1;
        self.n_left = 1 + random.below(2 * MEAN_FURTHER_EVENTS + 1);
        self.time_ms = time_ms;
        self.page = random.skewed(N_PAGES as u64) as usize;
        self.page_before = None;
    }

    /// User and session.
    fn write_head(&mut self, user: u64, person: &mut Random, random: &mut Random) {
        let out = &mut self.head;
        out.clear();
        raw(out, r#"","user":{"anonymous_id":""#);
        hex(out, person.bits());
        raw(out, r#"","signed_in":"#);
        let signed_in = random.chance(600);
        boolean(out, signed_in);
        if signed_in {
            raw(out, r#","id":"u-"#);
            padded(out, user, 6);
            raw(out, r#"","plan":""#);
            raw(out, PLANS[person.skewed(PLANS.len() as u64) as usize]);
            out.push(b'"');
        }
        raw(out, r#"},"session":{"id":""#);
        hex(out, random.bits());
        raw(out, r#"","sequence":"#);
    }

    /// User agent, device, place and circumstances.
    fn write_tail(&mut self, person: &mut Random, random: &mut Random) {
        let device = &DEVICES[person.skewed(DEVICES.len() as u64) as usize];
        let city = &CITIES[person.skewed(CITIES.len() as u64) as usize];
        let out = &mut self.tail;
        out.clear();
        write_device(device, person, out);
        raw(out, r#","location":{"city":""#);
        raw(out, city.name);
        raw(out, r#"","country":""#);
        raw(out, city.country);
        raw(out, r#"","lat":"#);
        signed_decimal(out, city.lat + person.below(1_000).cast_signed() - 500, 4);
        raw(out, r#","lon":"#);
        signed_decimal(out, city.lon + person.below(1_000).cast_signed() - 500, 4);
        raw(out, r#"},"context":{"locale":""#);
        raw(out, person.pick(&LOCALES));
        raw(out, r#"","campaign":"#);
        if random.chance(350) {
            out.push(b'"');
            raw(out, random.pick(&CAMPAIGNS));
            out.push(b'"');
        } else {
            raw(out, "null");
        }
        raw(out, r#"},"page":"#);
    }
}

/// What the device says of itself.
fn write_device(device: &Device, person: &mut Random, out: &mut Vec<u8>) {
    let version = person.pick(device.versions);
    raw(out, r#"},"user_agent":""#);
    raw(out, device.agent.0);
    raw(out, version);
    raw(out, device.agent.1);
    raw(out, r#"","device":{"type":""#);
    raw(out, device.kind);
    raw(out, r#"","os":""#);
    raw(out, device.os);
    raw(out, r#"","browser":""#);
    raw(out, device.browser);
    raw(out, r#"","screen_width":"#);
    integer(out, device.width);
    raw(out, r#","pixel_ratio":"#);
    decimal(out, device.pixel_ratio, 3);
    out.push(b'}');
}
