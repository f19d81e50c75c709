//! The default shape: visitors of a shop, many at a time, each going from page to page.

use crate::json::{boolean, decimal, hex, integer, raw, uuid};
use crate::page::{self, N_PAGES, Page};
use crate::pools::{COUPONS, ELEMENTS, ERRORS, PAYMENTS, QUERIES, SIGNUPS};
use crate::random::Random;
use crate::session::Session;
use crate::time;

/// How many visits are under way at any time; their events are mixed.
const N_OPEN_SESSIONS: usize = 256;

/// How many events there were before the first one that is written.
const N_EVENTS_BEFORE: usize = 16 * N_OPEN_SESSIONS;

/// What an event says has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventType {
    PageView,
    Click,
    Search,
    AddToCart,
    Purchase,
    Signup,
    VideoPlay,
    AppError,
}

/// All visitors of the shop.
#[derive(Debug)]
pub(crate) struct Site {
    pages: Vec<Page>,
    sessions: Vec<Session>,
    start_ms: i64,
    span_ms: u64,
}

impl Site {
    /// A shop that is visited from `start_ms` on for `span_ms`.
    pub(crate) fn new(start_ms: i64, span_ms: u64, random: &mut Random) -> Self {
        let mut site = Self {
            pages: page::all(),
            sessions: (0..N_OPEN_SESSIONS).map(|_| Session::default()).collect(),
            start_ms,
            span_ms,
        };
        // The first events are of visits that have gone on for a while, like all others: a small batch is
        // then as mixed as a large one.
        let mut before = Vec::new();
        for _ in 0..N_EVENTS_BEFORE {
            before.clear();
            site.write_event(random, &mut before);
        }
        site
    }

    /// Writes the next event, with the new line behind it.
    pub(crate) fn write_event(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let session = &mut self.sessions[random.index(N_OPEN_SESSIONS)];
        if session.n_left == 0 {
            let time_ms = self.start_ms + random_ms(random, self.span_ms);
            session.begin(random, time_ms);
        }
        let event_type = session.next_type(random);
        if event_type == EventType::PageView && session.sequence > 1 {
            session.page_before = Some(session.page);
            session.page = random.skewed(N_PAGES as u64) as usize;
        }
        session.n_left -= 1;
        session.time_ms += 250 + random_ms(random, 45_000);

        raw(out, r#"{"event_id":""#);
        uuid(out, random.bits(), random.bits());
        raw(out, r#"","event_type":""#);
        raw(out, event_type.name());
        raw(out, r#"","event_time":""#);
        time::write(out, session.time_ms);
        out.extend_from_slice(&session.head);
        integer(out, session.sequence);
        out.extend_from_slice(&session.tail);
        session.write_page(&self.pages, out);
        write_engagement(random, out);
        write_own_fields(event_type, session, &self.pages, random, out);
        raw(out, "}\n");
        session.sequence += 1;
    }
}

impl Session {
    /// What happens next in this visit. It begins with a page; one buys only what is in the cart.
    fn next_type(&self, random: &mut Random) -> EventType {
        if self.sequence <= 1 {
            return EventType::PageView;
        }
        match random.below(100) {
            0..42 => EventType::PageView,
            42..64 => EventType::Click,
            64..73 => EventType::Search,
            73..81 => EventType::AddToCart,
            81..89 => EventType::VideoPlay,
            89..91 => EventType::Signup,
            91..94 => EventType::AppError,
            _ if self.cart_items.is_empty() => EventType::PageView,
            _ => EventType::Purchase,
        }
    }

    /// The page and what led to it.
    fn write_page(&self, pages: &[Page], out: &mut Vec<u8>) {
        out.extend_from_slice(&pages[self.page].open);
        match self.page_before {
            None if self.entry_referrer.is_empty() => raw(out, "null"),
            None => {
                out.push(b'"');
                raw(out, self.entry_referrer);
                out.push(b'"');
            }
            Some(before) => {
                out.push(b'"');
                out.extend_from_slice(&pages[before].as_referrer);
                out.push(b'"');
            }
        }
        out.push(b'}');
    }
}

impl EventType {
    /// Its name in the event.
    fn name(self) -> &'static str {
        match self {
            Self::PageView => "page_view",
            Self::Click => "click",
            Self::Search => "search",
            Self::AddToCart => "add_to_cart",
            Self::Purchase => "purchase",
            Self::Signup => "signup",
            Self::VideoPlay => "video_play",
            Self::AppError => "app_error",
        }
    }
}

/// A random time below `span_ms`.
pub(crate) fn random_ms(random: &mut Random, span_ms: u64) -> i64 {
    random.below(span_ms).cast_signed()
}

/// How much of the page was seen, and for how long.
fn write_engagement(random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#","engagement":{"time_ms":"#);
    integer(out, 200 + random.skewed(180_000));
    raw(out, r#","scroll_depth":"#);
    decimal(out, random.below(1_001), 3);
    raw(out, r#","n_clicks":"#);
    integer(out, random.skewed(12));
    out.push(b'}');
}

/// The fields that only events of this type have.
fn write_own_fields(
    event_type: EventType,
    session: &mut Session,
    pages: &[Page],
    random: &mut Random,
    out: &mut Vec<u8>,
) {
    match event_type {
        EventType::PageView => {
            raw(out, r#","view":{"is_entry":"#);
            boolean(out, session.sequence == 1);
            raw(out, r#","load_ms":"#);
            integer(out, 80 + random.skewed(4_000));
            out.push(b'}');
        }
        EventType::Click => {
            let (id, text) = random.pick(&ELEMENTS);
            raw(out, r#","element":{"id":""#);
            raw(out, id);
            raw(out, r#"","text":""#);
            raw(out, text);
            raw(out, r#"","x":"#);
            integer(out, random.below(1_440));
            raw(out, r#","y":"#);
            integer(out, random.below(3_200));
            out.push(b'}');
        }
        EventType::Search => write_search(random, out),
        EventType::AddToCart => write_cart(session, pages, random, out),
        EventType::Purchase => write_order(session, pages, random, out),
        EventType::Signup => {
            raw(out, r#","signup":{"method":""#);
            raw(out, random.pick(&SIGNUPS));
            raw(out, r#"","newsletter":"#);
            boolean(out, random.chance(400));
            out.push(b'}');
        }
        EventType::VideoPlay => write_video(session, random, out),
        EventType::AppError => {
            let (code, message) = random.pick(&ERRORS);
            raw(out, r#","error":{"code":"#);
            integer(out, code);
            raw(out, r#","message":""#);
            raw(out, message);
            raw(out, r#"","fatal":"#);
            boolean(out, random.chance(120));
            out.push(b'}');
        }
    }
}

/// What was looked for, and how much was found.
fn write_search(random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#","search":{"query":""#);
    raw(out, random.pick(&QUERIES));
    raw(out, r#"","n_results":"#);
    integer(out, random.skewed(900));
    raw(out, r#","page":"#);
    integer(out, 1 + random.skewed(5));
    raw(out, r#","filters":["#);
    for (n, filter) in ["in_stock", "on_sale", "free_shipping"]
        .into_iter()
        .enumerate()
    {
        if random.chance(300) {
            if !out.ends_with(b"[") {
                out.push(b',');
            }
            raw(out, r#"{"name":""#);
            raw(out, filter);
            raw(out, r#"","position":"#);
            integer(out, n as u64);
            out.push(b'}');
        }
    }
    raw(out, "]}");
}

/// The page's product goes into the cart.
fn write_cart(session: &mut Session, pages: &[Page], random: &mut Random, out: &mut Vec<u8>) {
    let (page, quantity) = (&pages[session.page], 1 + random.skewed(4));
    session.cart_value += page.price * quantity;
    session.cart_items.push((session.page, quantity));
    raw(out, r#","cart":{"id":"c-"#);
    hex(out, session.cart);
    raw(out, r#"","value":"#);
    decimal(out, session.cart_value, 2);
    raw(out, r#"},"currency":""#);
    raw(out, session.currency);
    raw(out, r#"","items":["#);
    page.write_item(quantity, out);
    out.push(b']');
}

/// The cart is paid for, and empty.
fn write_order(session: &mut Session, pages: &[Page], random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#","order":{"id":"o-"#);
    hex(out, random.bits());
    raw(out, r#"","total":"#);
    decimal(out, session.cart_value + 490, 2);
    raw(out, r#","tax":"#);
    decimal(out, session.cart_value * 19 / 119, 2);
    raw(out, r#","payment_method":""#);
    raw(out, random.pick(&PAYMENTS));
    raw(out, r#"","coupon":"#);
    if random.chance(250) {
        out.push(b'"');
        raw(out, random.pick(&COUPONS));
        out.push(b'"');
    } else {
        raw(out, "null");
    }
    raw(out, r#"},"currency":""#);
    raw(out, session.currency);
    raw(out, r#"","items":["#);
    for (n, &(page, quantity)) in session.cart_items.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        pages[page].write_item(quantity, out);
    }
    out.push(b']');
    session.cart_items.clear();
    session.cart_value = 0;
}

/// A film about the page's product.
fn write_video(session: &Session, random: &mut Random, out: &mut Vec<u8>) {
    raw(out, r#","video":{"id":"v-"#);
    integer(out, 1_000 + session.page as u64 % 120);
    raw(out, r#"","title":"How it is made, part "#);
    integer(out, 1 + session.page as u64 % 6);
    raw(out, r#"","position_s":"#);
    decimal(out, random.skewed(240_000), 3);
    raw(out, r#","duration_s":"#);
    integer(out, 30 + session.page as u64 % 120 * 2);
    raw(out, r#","autoplay":"#);
    boolean(out, random.chance(500));
    out.push(b'}');
}
