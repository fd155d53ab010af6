//! The catalogue's files, good and broken.

use super::*;
use crate::testing::{ACME, small};

#[test]
fn the_embedded_catalogue_is_whole() {
    let catalog = Catalog::embedded().unwrap_or_else(|broken| panic!("{broken}"));
    assert!(catalog.offers.iter().all(|o| o.model < catalog.models.len()));
    for model in &catalog.models {
        let unknown: Vec<_> =
            model.params.iter().filter(|p| !crate::vocabulary::PARAMETERS.contains(&p.as_str())).collect();
        assert!(unknown.is_empty(), "{}: not a parameter: {unknown:?}", model.id);
        for word in model.input.iter().chain(&model.output) {
            assert!(MEDIA.contains(&word.as_str()), "{}: not a medium: {word}", model.id);
        }
        assert!(model.source.starts_with("https://"), "{}: no source", model.id);
    }
}

const MEDIA: [&str; 10] =
    ["text", "image", "audio", "video", "file", "embeddings", "rerank", "moderation", "speech", "transcription"];

#[test]
fn a_model_is_read_with_all_its_facts() {
    let catalog = small();
    let road = &catalog.models[0];
    assert_eq!((&*road.id, &*road.canonical), ("acme/road-1", "acme/road-1-20250101"));
    assert_eq!((&*road.author, &*road.author_name, road.created), ("acme", "Acme", 1_735_689_600));
    assert!(road.open_weights && road.reasoning.is_none());
    let second = &catalog.models[1];
    assert_eq!(second.canonical, second.id, "a model without a dated slug is its own");
    assert_eq!(
        second.reasoning,
        Some(Thinks { efforts: vec![Effort::Low, Effort::High], mandatory: true, budget: false })
    );
}

#[test]
fn prices_are_integers_per_token() {
    let catalog = small();
    let price = catalog.offers[0].price.as_ref().unwrap();
    assert_eq!((price.rates.input, price.rates.cache_read), (Pico(1_000_000), Some(Pico(100_000))));
    assert_eq!(price.rates_for(100_001).output, Pico(4_000_000));
    assert!(catalog.offers[2].price.as_ref().unwrap().is_free());
}

#[test]
fn a_broken_file_says_where() {
    let endpoint = |lines: &str| {
        format!(
            "provider = \"p\"\n[[endpoint]]\nmodel = \"acme/road-1\"\nupstream = \"u\"\n{lines}\nsource = \"s\"\nchecked = \"2026-11-01\"\n"
        )
    };
    let model = |id: &str, lines: &str| {
        format!(
            "[author]\nid = \"acme\"\nname = \"A\"\n[[model]]\nid = \"{id}\"\nname = \"n\"\nreleased = \"2025-01-01\"\ncontext = 1\ninput = []\noutput = []\nsource = \"s\"\nchecked = \"2025-01-01\"\n{lines}"
        )
    };
    let rows: &[(String, String, &str)] = &[
        (ACME.to_owned(), endpoint("color = 1"), "unknown field `color`"),
        (ACME.to_owned(), endpoint("").replace("road-1", "road-9"), "endpoint acme/road-9: no file in catalog/models"),
        (ACME.to_owned(), endpoint("quantization = \"fp5\""), "not a quantization: fp5"),
        (ACME.to_owned(), endpoint("price = { input = \"-1\", output = \"1\" }"), "-1"),
        (ACME.to_owned(), endpoint("price = { input = 1.5, output = \"1\" }"), "expected a string"),
        (ACME.to_owned(), endpoint("price = { input = \"1\", output = \"1\", above = 3 }"), "above belongs into tiers"),
        (
            ACME.to_owned(),
            endpoint("price = { input = \"1\", output = \"1\" }\ntiers = [{ input = \"1\", output = \"1\" }]"),
            "a tier needs above",
        ),
        (
            ACME.to_owned(),
            endpoint("")
                + "[[endpoint.service]]\ntier = \"turbo\"\nprice = { input = \"1\", output = \"1\" }\nsource = \"s\"\nchecked = \"2026-11-01\"\n",
            "service turbo: not a tier of service besides the standard one: turbo",
        ),
        (ACME.to_owned(), endpoint("") + &endpoint("").replace("provider = \"p\"\n", ""), "listed twice"),
        (ACME.to_owned() + &ACME[ACME.find("[[model]]").unwrap()..], endpoint(""), "model acme/road-1: listed twice"),
        (model("other/road", ""), String::new(), "the id must start with its author"),
        (model("acme/road-1", "reasoning = { efforts = [\"huge\"] }"), String::new(), "not a reasoning effort: huge"),
        (
            model("acme/road-1", "").replace("2025-01-01\"\ncontext", "2025-1\"\ncontext"),
            String::new(),
            "released is not",
        ),
    ];
    for (models, endpoints, want) in rows {
        let endpoints: &[(&str, &str)] =
            &[("endpoints/p.toml", endpoints.as_str())][usize::from(endpoints.is_empty())..];
        let broken = Catalog::parse(&[("models/acme.toml", models)], endpoints).map(|_| ()).unwrap_err();
        assert!(broken.to_string().contains(want), "{broken} does not say {want}");
        assert!(broken.to_string().starts_with("catalog/"), "{broken}");
    }
}
