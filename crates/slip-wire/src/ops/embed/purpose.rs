//! What vectors are for. Models that were trained for it make better ones when they are told.

/// Each with the words of those who have one for it: Cohere, Google, Voyage, Jina (their API references, 2026-11).
const WORDS: [(Purpose, [&str; 4]); 7] = [
    (Purpose::Query, ["search_query", "RETRIEVAL_QUERY", "query", "retrieval.query"]),
    (Purpose::Document, ["search_document", "RETRIEVAL_DOCUMENT", "document", "retrieval.passage"]),
    (Purpose::Classification, ["classification", "CLASSIFICATION", "", "classification"]),
    (Purpose::Clustering, ["clustering", "CLUSTERING", "", "separation"]),
    (Purpose::Similarity, ["", "SEMANTIC_SIMILARITY", "", "text-matching"]),
    (Purpose::Question, ["", "QUESTION_ANSWERING", "", ""]),
    (Purpose::Code, ["", "CODE_RETRIEVAL_QUERY", "", "code.query"]),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Query,
    Document,
    Classification,
    Clustering,
    Similarity,
    Question,
    Code,
    /// A word nobody here knows.
    Other(String),
}

impl Purpose {
    pub fn parse(word: &str) -> Purpose {
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|w| !w.is_empty() && w.eq_ignore_ascii_case(word)));
        known.map_or_else(|| Purpose::Other(word.to_owned()), |(purpose, _)| purpose.clone())
    }

    fn word(&self, at: usize) -> Option<&str> {
        match self {
            Purpose::Other(word) => Some(word),
            known => {
                let (_, words) = WORDS.iter().find(|(purpose, _)| purpose == known)?;
                words.get(at).copied().filter(|word| !word.is_empty())
            }
        }
    }

    pub fn cohere(&self) -> Option<&str> {
        self.word(0)
    }

    pub fn gemini(&self) -> Option<&str> {
        self.word(1)
    }

    pub fn voyage(&self) -> Option<&str> {
        self.word(2)
    }

    pub fn jina(&self) -> Option<&str> {
        self.word(3)
    }
}
