//! The features, each with what is asked, what must be heard and what must have reached the provider.

use super::bed::{self, AGAIN, Bed, Health, PRICE, SECRET};
use super::{Verdict, limits, spell};
use crate::corpus::ask::{Ask, Item, Role, Tool};
use crate::corpus::said::{Choice, Said, list};
use crate::corpus::{Differences, Surface, bedrock, errors, history, read, report, sent, to_base64};
use crate::harness::Got;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::Entry;
use std::collections::BTreeSet;

/// 2 wide and 3 high, as far as anybody reads who wants the size only.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
const PDF: &str = "%PDF-1.4 made";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Text,
    Turns,
    Stream,
    Tools,
    Parallel,
    Results,
    Images,
    Files,
    Structured,
    Reasoning,
    Usage,
    Errors,
}

impl Feature {
    pub const ALL: [Feature; 12] = [
        Feature::Text,
        Feature::Turns,
        Feature::Stream,
        Feature::Tools,
        Feature::Parallel,
        Feature::Results,
        Feature::Images,
        Feature::Files,
        Feature::Structured,
        Feature::Reasoning,
        Feature::Usage,
        Feature::Errors,
    ];

    /// The head of its column, and what it stands for.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Feature::Text => ("text", "a question and its answer, with a cap on the output"),
            Feature::Turns => {
                ("turns", "system text, earlier turns, temperature and stop sequences reach the provider")
            }
            Feature::Stream => ("stream", "the same answer piece by piece, and its end"),
            Feature::Tools => ("tools", "a declared tool is called, streamed or not"),
            Feature::Parallel => ("parallel tools", "two tools are called at once, streamed or not"),
            Feature::Results => ("tool results", "calls and what came of them go back to the provider"),
            Feature::Images => ("images", "a picture in the question"),
            Feature::Files => ("files", "a document in the question"),
            Feature::Structured => ("structured output", "a document that fits a JSON schema, streamed or not"),
            Feature::Reasoning => {
                ("reasoning", "thoughts are shown, and come back to the provider with their signatures intact")
            }
            Feature::Usage => ("usage", "the provider's own counts, streamed or not, and their price in the record"),
            Feature::Errors => (
                "errors",
                "a wrong key, a busy provider and one that dies in mid-stream are errors of the client's own dialect",
            ),
        }
    }

    pub async fn walk(self, bed: &Bed, surface: Surface, dialect: Dialect) -> Verdict {
        let mut at = Walk { bed, surface, dialect, out: Differences::of(self.name().0), losses: BTreeSet::new() };
        match self {
            Feature::Text => at.text().await,
            Feature::Turns => at.turns().await,
            Feature::Stream => at.stream().await,
            Feature::Tools => at.tools(&["get_weather"], "What is the weather in Paris?").await,
            Feature::Parallel => {
                at.tools(&["get_weather", "get_time"], "Please call get_weather and get_time for Paris").await;
            }
            Feature::Results => at.results().await,
            Feature::Images => {
                let url = format!("data:image/png;base64,{}", base64(PNG));
                at.shown(Item::Image(url), "I see an image of 2x3").await;
            }
            Feature::Files => {
                let file = Item::File { mime: "application/pdf".into(), data: to_base64(PDF) };
                at.shown(file, &format!("I see a file of {} bytes", PDF.len())).await;
            }
            Feature::Structured => at.structured().await,
            Feature::Reasoning => at.reasoning().await,
            Feature::Usage => at.usage().await,
            Feature::Errors => at.errors().await,
        }
        if at.out.found.is_empty() { Verdict::Works(at.losses) } else { Verdict::Fails(at.out.found) }
    }
}

/// One cell on its way.
struct Walk<'a> {
    bed: &'a Bed,
    surface: Surface,
    dialect: Dialect,
    out: Differences,
    losses: BTreeSet<String>,
}

/// What came of one request.
struct Heard {
    got: Got,
    said: Said,
    /// The first choice.
    choice: Choice,
    /// What the provider was asked.
    entry: Entry,
}

fn question(text: &str) -> Ask {
    Ask { turns: vec![(Role::User, Item::Text(text.into()))], max_tokens: Some(4096), ..Ask::default() }
}

fn tool(name: &str) -> Tool {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    Tool { name: name.into(), description: format!("{name} of a city"), schema }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Walk<'_> {
    fn model(&self, health: Health) -> String {
        bed::model(self.dialect, health)
    }

    async fn post(&self, health: Health, stream: bool, key: (&str, String), body: &Value) -> Got {
        let path = self.surface.path(&self.model(health), stream);
        let headers = [(key.0, key.1.as_str()), ("content-type", "application/json")];
        self.bed.gateway.send(Method::POST, &path, &headers, Bytes::from(body.to_string())).await
    }

    /// Ask the sound provider; nothing when that did not go well.
    async fn send(&mut self, stream: bool, body: &Value) -> Option<Heard> {
        let got = self.post(Health::Well, stream, spell::key(self.surface), body).await;
        if got.status != 200 {
            self.out.say("status", format!("{}: {}", got.status, got.text()));
            return None;
        }
        let said = self.surface.read(&parts(&got, stream));
        if let Some(fault) = &said.fault {
            self.out.say("fault", fault);
            return None;
        }
        let Some(entry) = self.bed.last(self.dialect).await else {
            self.out.say("sent", "nothing reached the provider");
            return None;
        };
        if got.text().contains(SECRET) {
            self.out.say("leak", got.text());
        }
        let record = self.bed.gateway.record(&got).await;
        let losses = list(&record["slipswitch"]["losses"]).iter().filter_map(Value::as_str);
        self.losses.extend(losses.map(report::unnumbered));
        let choice = said.choices.get(&0).cloned().unwrap_or_default();
        Some(Heard { got, said, choice, entry })
    }

    /// Ask, and see to it that the provider was asked the same.
    async fn ask(&mut self, stream: bool, ask: &Ask) -> Option<Heard> {
        let body = spell::body(self.surface, ask, &self.model(Health::Well), stream);
        let heard = self.send(stream, &body).await?;
        let reached = spell::reader(self.dialect).ask_of(&heard.entry.json());
        let nameless = !(spell::names_calls(self.dialect) && names_calls(self.surface));
        sent::meaning(&self.surface.ask_of(&body), &reached, nameless, &mut self.out);
        if reached.temperature != ask.temperature {
            self.out.say("sent.temperature", format!("{:?} became {:?}", ask.temperature, reached.temperature));
        }
        Some(heard)
    }

    fn ends(&mut self, heard: &Heard, text: &str, finish: &str) {
        self.out.same("text", text, &heard.choice.text);
        self.out.same("finish", finish, heard.choice.finish.as_deref().unwrap_or("none"));
    }

    async fn text(&mut self) {
        if let Some(heard) = self.ask(false, &question("hello out there")).await {
            self.ends(&heard, "echo: hello out there", "stop");
        }
    }

    async fn turns(&mut self) {
        let say = |role, text: &str| (role, Item::Text(text.into()));
        let stops = spell::stops(self.surface.dialect()) && spell::stops(self.dialect.name());
        let ask = Ask {
            turns: vec![
                say(Role::System, "Be brief."),
                say(Role::User, "one"),
                say(Role::Assistant, "two"),
                say(Role::User, "three END four"),
            ],
            stop: if stops { vec!["END".into()] } else { Vec::new() },
            temperature: Some(json!(0.5)),
            ..question("")
        };
        if let Some(heard) = self.ask(false, &ask).await {
            self.ends(&heard, if stops { "echo: three " } else { "echo: three END four" }, "stop");
        }
    }

    async fn stream(&mut self) {
        let count = |n: u32| (1..=n).map(|i| format!("tok{i}")).collect::<Vec<_>>().join(" ");
        if let Some(heard) = self.ask(true, &question("count to 30")).await {
            self.ends(&heard, &count(30), "stop");
            // The answer is written at once; that it comes in pieces is seen from their number.
            let pieces = heard.got.text().matches("tok").count();
            let events = parts(&heard.got, true).len();
            if events < 10 {
                self.out.say("pieces", format!("{events} events for {pieces} tokens"));
            }
        }
        let short = Ask { max_tokens: Some(16), ..question("count to 30") };
        if let Some(heard) = self.ask(true, &short).await {
            self.ends(&heard, &count(16), "length");
        }
    }

    async fn tools(&mut self, names: &[&str], text: &str) {
        let ask = Ask { tools: names.iter().map(|n| tool(n)).collect(), ..question(text) };
        for stream in [false, true] {
            let Some(heard) = self.ask(stream, &ask).await else { return };
            let want: Vec<_> = names.iter().map(|n| ((*n).to_owned(), json!({"city": "Paris"}))).collect();
            let got: Vec<_> = heard.choice.calls.iter().map(|c| (c.name.clone(), c.value())).collect();
            if want != got {
                self.out.say("calls", format!("{want:?} became {got:?}"));
            }
            let ids: BTreeSet<&str> = heard.choice.calls.iter().map(|c| c.id.as_str()).collect();
            if names_calls(self.surface) && (ids.len() != names.len() || ids.contains("")) {
                self.out.say("ids", format!("{:?}", heard.choice.calls));
            }
            self.ends(&heard, "", "tool_calls");
        }
    }

    async fn results(&mut self) {
        if self.surface.dialect() != self.dialect.name() {
            self.foreign_results().await;
        }
        for stream in [false, true] {
            self.way_back(stream, &["get_weather", "get_time"]).await;
        }
    }

    /// A conversation that began elsewhere, whose calls this provider never made. (A client of the provider's own dialect brings
    /// what the provider wants: its bytes are not ours to mend.)
    async fn foreign_results(&mut self) {
        let call =
            |id: &str, name: &str| Item::Call { id: id.into(), name: name.into(), args: json!({"city": "Paris"}) };
        let result =
            |id: &str, name: &str, text: &str| Item::Result { id: id.into(), name: name.into(), text: text.into() };
        let ask = Ask {
            turns: vec![
                (Role::User, Item::Text("The weather and the time in Paris, please".into())),
                (Role::Assistant, call("call_one", "get_weather")),
                (Role::Assistant, call("call_two", "get_time")),
                (Role::User, result("call_one", "get_weather", "18 degrees")),
                (Role::User, result("call_two", "get_time", "noon")),
            ],
            tools: vec![tool("get_weather"), tool("get_time")],
            ..question("")
        };
        for stream in [false, true] {
            if let Some(heard) = self.ask(stream, &ask).await {
                self.ends(&heard, "tool said: 18 degrees; noon", "stop");
            }
        }
    }

    async fn shown(&mut self, item: Item, want: &str) {
        let mut ask = question("Look at this");
        ask.turns.push((Role::User, item));
        if let Some(heard) = self.ask(false, &ask).await {
            self.ends(&heard, want, "stop");
        }
    }

    async fn structured(&mut self) {
        let schema = json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
            "required": ["city", "degrees"],
            "additionalProperties": false,
        });
        for stream in [false, true] {
            let ask = question("It is 21 degrees in Paris today");
            let mut body = spell::body(self.surface, &ask, &self.model(Health::Well), stream);
            spell::wish(self.surface, &mut body, &schema);
            let Some(heard) = self.send(stream, &body).await else { return };
            let document = serde_json::from_str(&heard.choice.text).unwrap_or(Value::Null);
            if document != json!({"city": "Paris", "degrees": 21}) {
                self.out.say("document", &heard.choice.text);
            }
        }
    }

    async fn reasoning(&mut self) {
        for stream in [false, true] {
            let ask = Ask { thinks: true, ..question("hello out there") };
            let Some(heard) = self.ask(stream, &ask).await else { return };
            self.ends(&heard, "echo: hello out there", "stop");
            self.out.same("thoughts", "Let me think about: hello out there", &heard.choice.reasoning);
            if limits::reason(self.surface, self.dialect, Feature::Tools).is_none() {
                self.way_back(stream, &["get_weather"]).await;
            }
        }
    }

    /// The provider's own calls and what came of them: it wants back what it signed, as it signed it.
    async fn way_back(&mut self, stream: bool, names: &[&str]) {
        let thinks = limits::reason(self.surface, self.dialect, Feature::Reasoning).is_none();
        let text = format!("Please call {} for Paris", names.join(" and "));
        let ask = Ask { thinks, tools: names.iter().map(|n| tool(n)).collect(), ..question(&text) };
        let Some(heard) = self.ask(stream, &ask).await else { return };
        let seals = &heard.choice.seals;
        if thinks && spell::seals(self.dialect) && spell::keeps_seals(self.surface) && seals.is_empty() {
            self.out.say("seals", "nothing that the provider signed was heard");
        }
        let turn = history::turn(self.surface, &heard.got, stream);
        let model = self.model(Health::Well);
        let body = history::request(self.surface, &model, stream, thinks, &turn, &heard.choice.calls);
        let Some(back) = self.send(stream, &body).await else { return };
        let fine: Vec<&str> = names.iter().map(|_| "fine").collect();
        self.ends(&back, &format!("tool said: {}", fine.join("; ")), "stop");
        let reached = String::from_utf8_lossy(&back.entry.body).into_owned();
        for seal in seals.iter().map(|s| own(s)) {
            if !reached.contains(&seal) {
                self.out.say("seals", format!("{seal} did not come back"));
            }
        }
    }

    async fn usage(&mut self) {
        for stream in [false, true] {
            let Some(heard) = self.ask(stream, &question("count to 12")).await else { return };
            let (prompt, completion) = (heard.entry.billed_prompt, heard.entry.billed_completion);
            let told = heard.said.usage.map(|u| (u.prompt, u.completion));
            if told != Some((prompt, completion)) || completion != 12 {
                self.out.say("counts", format!("{prompt} and {completion} were billed, {told:?} was told"));
            }
            let cost = (prompt as f64 * PRICE.0 + completion as f64 * PRICE.1) / 1e6;
            let record = self.bed.gateway.record(&heard.got).await;
            if !record["total_cost"].as_f64().is_some_and(|c| (c - cost).abs() < 1e-9) {
                self.out.say("cost", format!("{cost} became {}", record["total_cost"]));
            }
        }
    }

    async fn errors(&mut self) {
        for stream in [false, true] {
            let body = |model: &str| spell::body(self.surface, &question("count to 40"), model, stream);
            let wrong = spell::credential(self.surface, "sk-this-key-was-never-issued");
            let got = self.post(Health::Well, stream, wrong, &body(&self.model(Health::Well))).await;
            if got.status != 401 || !spell::tells(&got.json()) {
                self.out.say("key", format!("{}: {}", got.status, got.text()));
            }
            let body = body(&self.model(Health::Busy));
            let got = self.post(Health::Busy, stream, spell::key(self.surface), &body).await;
            errors::refused(429, b"{}", self.surface, &got, &mut self.out);
            self.out.same("retry-after", &AGAIN.to_string(), got.header("retry-after"));
        }
        let body = spell::body(self.surface, &question("count to 40"), &self.model(Health::Dies), true);
        let got = self.post(Health::Dies, true, spell::key(self.surface), &body).await;
        let said = self.surface.read(&parts(&got, true));
        let text = said.choices.get(&0).map(|c| c.text.as_str()).unwrap_or_default();
        if got.status != 200 || text != "tok1 tok2 tok3 tok4 tok5" || said.fault.is_none_or(|f| f.is_empty()) {
            self.out.say("midstream", format!("{}: {}", got.status, got.text()));
        }
    }
}

/// The seal as the provider made it: on foreign ground it carries the name of its house in front, and may have had to be base64.
fn own(seal: &str) -> String {
    let inner = crate::corpus::base64(seal).and_then(|bytes| String::from_utf8(bytes).ok());
    let told = inner.filter(|text| text.contains("-v") && text.contains(':')).unwrap_or_else(|| seal.to_owned());
    told.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The surface has ids for calls.
fn names_calls(surface: Surface) -> bool {
    Dialect::ALL.into_iter().find(|d| d.name() == surface.dialect()).is_none_or(spell::names_calls)
}

/// The whole reply, or the pieces of its stream, however they are framed.
fn parts(got: &Got, stream: bool) -> Vec<Value> {
    match got.header("content-type") {
        kind if kind.starts_with("text/event-stream") => read::values(&got.body),
        "application/vnd.amazon.eventstream" => bedrock::values(&got.body),
        _ if stream => got.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
        _ => vec![got.json()],
    }
}
