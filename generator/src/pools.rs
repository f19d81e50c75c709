//! The words that events are made of. Text is JSON text already: what needs an escape has it.

/// One city, its country, and its place in ten-thousandths of a degree.
pub(crate) struct City {
    pub(crate) name: &'static str,
    pub(crate) country: &'static str,
    pub(crate) lat: i64,
    pub(crate) lon: i64,
}

/// Makes a [`City`] from one line of the table below.
const fn city(name: &'static str, country: &'static str, lat: i64, lon: i64) -> City {
    City {
        name,
        country,
        lat,
        lon,
    }
}

/// Where users are; the first ones have the most.
pub(crate) const CITIES: [City; 32] = [
    city("London", "GB", 515_074, -1_278),
    city("New York", "US", 407_128, -740_060),
    city("Berlin", "DE", 525_200, 134_050),
    city("Paris", "FR", 488_566, 23_522),
    city("São Paulo", "BR", -235_505, -466_333),
    city("Chicago", "US", 418_781, -876_298),
    city("Mumbai", "IN", 190_760, 728_777),
    city("Toronto", "CA", 436_532, -793_832),
    city("Madrid", "ES", 404_168, -37_038),
    city("München", "DE", 481_351, 115_820),
    city("Sydney", "AU", -338_688, 1_512_093),
    city("Amsterdam", "NL", 523_676, 49_041),
    city("Los Angeles", "US", 340_522, -1_182_437),
    city("Bengaluru", "IN", 129_716, 775_946),
    city("Zürich", "CH", 473_769, 85_417),
    city("Stockholm", "SE", 593_293, 180_686),
    city("Manchester", "GB", 534_808, -22_426),
    city("東京", "JP", 356_762, 1_396_503),
    city("Warsaw", "PL", 522_297, 210_122),
    city("Seattle", "US", 476_062, -1_223_321),
    city("Dublin", "IE", 533_498, -62_603),
    city("Mexico City", "MX", 194_326, -991_332),
    city("Vienna", "AT", 482_082, 163_738),
    city("Kraków", "PL", 500_647, 199_450),
    city("Lisbon", "PT", 387_223, -91_393),
    city("Oslo", "NO", 599_139, 107_522),
    city("Singapore", "SG", 13_521, 1_038_198),
    city("Nairobi", "KE", -12_921, 368_219),
    city("Austin", "US", 302_672, -977_431),
    city("Lyon", "FR", 457_640, 48_357),
    city("Málaga", "ES", 367_213, -44_214),
    city("Wellington", "NZ", -412_866, 1_747_756),
];

/// One kind of device: all that follows from its make, and the user agent it sends.
pub(crate) struct Device {
    pub(crate) kind: &'static str,
    pub(crate) os: &'static str,
    pub(crate) browser: &'static str,
    pub(crate) width: u64,
    /// Device pixels per CSS pixel, in thousandths.
    pub(crate) pixel_ratio: u64,
    /// The user agent up to the version, and behind it.
    pub(crate) agent: (&'static str, &'static str),
    /// The versions that are about, of the browser.
    pub(crate) versions: &'static [&'static str],
}

const CHROME: &[&str] = &[
    "131.0.6778.205",
    "138.0.7204.168",
    "140.0.7339.128",
    "141.0.7390.66",
];
const FIREFOX: &[&str] = &["128.0", "140.0", "144.0"];
const SAFARI: &[&str] = &["17.6", "18.5", "26.0"];

/// What users hold in their hands; the first ones are the most common.
pub(crate) const DEVICES: [Device; 8] = [
    Device {
        kind: "mobile",
        os: "Android",
        browser: "Chrome",
        width: 412,
        pixel_ratio: 2_625,
        agent: (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
            " Mobile Safari/537.36",
        ),
        versions: CHROME,
    },
    Device {
        kind: "desktop",
        os: "Windows",
        browser: "Chrome",
        width: 1_920,
        pixel_ratio: 1_000,
        agent: (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
            " Safari/537.36",
        ),
        versions: CHROME,
    },
    Device {
        kind: "mobile",
        os: "iOS",
        browser: "Safari",
        width: 390,
        pixel_ratio: 3_000,
        agent: (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
            " Mobile/15E148 Safari/604.1",
        ),
        versions: SAFARI,
    },
    Device {
        kind: "desktop",
        os: "macOS",
        browser: "Safari",
        width: 1_512,
        pixel_ratio: 2_000,
        agent: (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
            " Safari/605.1.15",
        ),
        versions: SAFARI,
    },
    Device {
        kind: "desktop",
        os: "macOS",
        browser: "Chrome",
        width: 1_728,
        pixel_ratio: 2_000,
        agent: (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
            " Safari/537.36",
        ),
        versions: CHROME,
    },
    Device {
        kind: "desktop",
        os: "Windows",
        browser: "Firefox",
        width: 1_366,
        pixel_ratio: 1_250,
        agent: (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/",
            "",
        ),
        versions: FIREFOX,
    },
    Device {
        kind: "tablet",
        os: "iPadOS",
        browser: "Safari",
        width: 820,
        pixel_ratio: 2_000,
        agent: (
            "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
            " Mobile/15E148 Safari/604.1",
        ),
        versions: SAFARI,
    },
    Device {
        kind: "desktop",
        os: "Linux",
        browser: "Firefox",
        width: 2_560,
        pixel_ratio: 1_500,
        agent: (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/",
            "",
        ),
        versions: FIREFOX,
    },
];

/// Languages of the browser.
pub(crate) const LOCALES: [&str; 12] = [
    "en-GB", "en-US", "de-DE", "fr-FR", "es-ES", "pt-BR", "nl-NL", "sv-SE", "pl-PL", "ja-JP",
    "hi-IN", "en-AU",
];

/// Campaigns that bring people in.
pub(crate) const CAMPAIGNS: [&str; 16] = [
    "winter-sale-2026",
    "newsletter-02",
    "newsletter-03",
    "brand-search",
    "retargeting-7d",
    "retargeting-30d",
    "spring-preview",
    "free-shipping",
    "app-install",
    "partner-nordic",
    "partner-iberia",
    "influencer-q1",
    "back-in-stock",
    "abandoned-cart",
    "referral",
    "loyalty-gold",
];

/// Pages that link here. Two of three are written by an encoder that escapes slashes.
pub(crate) const REFERRERS: [&str; 12] = [
    r"https:\/\/www.google.com\/",
    r"https:\/\/www.google.de\/",
    "https://duckduckgo.com/",
    r"https:\/\/www.bing.com\/search",
    r"https:\/\/l.instagram.com\/",
    "https://www.youtube.com/",
    r"https:\/\/news.ycombinator.com\/item",
    r"https:\/\/mail.example.org\/inbox\/",
    "https://www.reddit.com/r/onebag/",
    r"https:\/\/blog.example.net\/gift-guide",
    r"https:\/\/t.co\/",
    "https://www.pinterest.com/pin/",
];

/// Departments of the shop, as in paths and as people read them.
pub(crate) const CATEGORIES: [(&str, &str); 12] = [
    ("outdoor", "Outdoor"),
    ("kitchen", "Kitchen"),
    ("home-office", "Home office"),
    ("audio", "Audio"),
    ("bags", "Bags & luggage"),
    ("cycling", "Cycling"),
    ("coffee", "Coffee"),
    ("lighting", "Lighting"),
    ("garden", "Garden"),
    ("books", "Books"),
    ("toys", "Toys"),
    ("apparel", "Apparel"),
];

/// The first word of a product.
pub(crate) const MAKES: [&str; 20] = [
    "Alder", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Harbor", "Isle", "Juniper",
    "Kestrel", "Larch", "Meadow", "North", "Orchard", "Pine", "Quarry", "Ridge", "Slate", "Tundra",
];

/// The second word of a product.
pub(crate) const THINGS: [&str; 20] = [
    "Backpack",
    "Kettle",
    "Desk Lamp",
    "Headphones",
    "Weekender",
    "Rain Jacket",
    "Grinder",
    "Planter",
    "Notebook",
    "Tent",
    "Chef Knife",
    "Monitor Arm",
    "Speaker",
    "Bike Light",
    "Mug",
    "Puzzle",
    "Wool Blanket",
    "Trail Shoes",
    "Water Bottle",
    "Side Table",
];

/// What may follow a product's name, with an escape in it.
pub(crate) const ESCAPED: [&str; 8] = [
    r#"15\" Edition"#,
    r#"\"Classic\""#,
    r"Men\u2019s",
    r"Caf\u00e9 Set",
    r"1\/2 l",
    r"S\/M",
    r"Limited\tRun",
    r"\ud83c\udf32 Recycled",
];

/// What may follow a product's name, not in ASCII.
pub(crate) const NON_ASCII: [&str; 6] = [
    "Größe L",
    "n° 5",
    "Édition d’été",
    "限定版",
    "Año Nuevo",
    "Łódź",
];

/// What people look for.
pub(crate) const QUERIES: [&str; 24] = [
    "waterproof backpack",
    "coffee grinder",
    "desk lamp usb c",
    "tent 2 person",
    "gift ideas",
    "wool socks",
    "wireless headphones",
    "chef knife",
    "bike light",
    "standing desk",
    "notebook a5",
    "rain jacket",
    "kettle gooseneck",
    "trail shoes 43",
    "returns",
    "gift card",
    "monitor arm",
    "side table oak",
    r#"15\" laptop sleeve"#,
    r#"\"merino wool\""#,
    r"mug 1\/2 l",
    "grüne lampe",
    "sac à dos",
    "水筒",
];

/// What is clicked: its id in the page, and its text.
pub(crate) const ELEMENTS: [(&str, &str); 14] = [
    ("nav-home", "Home"),
    ("nav-deals", "Deals"),
    ("nav-account", "My account"),
    ("hero-cta", "Shop now"),
    ("product-image-2", "Next image"),
    ("size-guide", "Size guide"),
    ("add-to-cart", "Add to cart"),
    ("wishlist", "Save for later"),
    ("reviews-tab", r#"Reviews: \"What customers say\""#),
    ("filter-price", r"Price \u2264 50"),
    ("sort", "Sort by: relevance"),
    ("footer-returns", "Returns & refunds"),
    ("chat-open", "Ask a question"),
    ("cookie-accept", "Accept"),
];

/// Errors of the page's script.
pub(crate) const ERRORS: [(u64, &str); 6] = [
    (
        1_001,
        r#"TypeError: Cannot read properties of undefined (reading \"price\")"#,
    ),
    (
        1_002,
        r#"SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON"#,
    ),
    (2_001, "NetworkError when attempting to fetch resource."),
    (
        2_002,
        r"Request timed out after 8000 ms\n    at fetchCart (app.js:1:20417)",
    ),
    (
        3_001,
        "ResizeObserver loop completed with undelivered notifications.",
    ),
    (
        3_002,
        r"ChunkLoadError: Loading chunk 417 failed.\n(missing: https:\/\/cdn.example.com\/417.js)",
    ),
];

/// Ways to pay.
pub(crate) const PAYMENTS: [&str; 5] = ["card", "paypal", "apple_pay", "klarna", "invoice"];

/// Codes for a lower price.
pub(crate) const COUPONS: [&str; 6] = [
    "WELCOME10",
    "FREESHIP",
    "SPRING15",
    "LOYAL5",
    "BUNDLE20",
    "SORRY",
];

/// Money, by how common it is.
pub(crate) const CURRENCIES: [&str; 5] = ["EUR", "USD", "GBP", "BRL", "JPY"];

/// Ways to sign up.
pub(crate) const SIGNUPS: [&str; 4] = ["email", "google", "apple", "passkey"];

/// What users pay for.
pub(crate) const PLANS: [&str; 4] = ["free", "plus", "pro", "business"];
