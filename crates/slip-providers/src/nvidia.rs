//! NVIDIA: open models on its hosted NIM catalogue, OpenAI-shaped. Each model has a request schema of its own and there is no
//! common way to ask for reasoning. Docs: <https://docs.api.nvidia.com/nim/reference/llm-apis>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("nvidia"),
    title: s("Nvidia"),
    base: s("https://integrate.api.nvidia.com/v1"),
    key_env: names!["NVIDIA_API_KEY"],
    quirks: Quirks { reasoning: ReasoningStyle::Unsaid, ..Quirks::OPENAI_CHAT },
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    links: links(
        "https://www.nvidia.com/en-us/about-nvidia/privacy-policy/",
        "https://assets.ngc.nvidia.com/products/api-catalog/legal/NVIDIA%20API%20Trial%20Terms%20of%20Service.pdf",
        None,
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.api.nvidia.com/nim/reference/llm-apis"),
    serves: list![serves(Op::Embeddings, Shape::OpenAi)],
    ..Provider::BLANK
};
