"""`python -m bench.llm.make_model DIRECTORY`: a Llama of 8 billion random weights, saved as MLflow saves transformers.

Its shapes are those of Llama 3.1 8B, so it computes and answers as fast as that; what it says means nothing. Runs in
the engine's environment, and on the GPU, where eight billion random numbers take a second.
"""

import sys

import mlflow.transformers
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, pipeline

VOCABULARY = 128_256


def main(directory: str) -> None:
    """Makes and saves the model."""
    words = {f"w{number}": number for number in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="w1", eos_token="w2", unk_token="w0")
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        bos_token_id=1,
        eos_token_id=2,
        dtype="bfloat16",
    )
    torch.manual_seed(7)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    mlflow.transformers.save_model(
        pipeline("text-generation", model=model, tokenizer=fast),
        directory,
        task="llm/v1/chat",
        pip_requirements=["transformers"],
    )


if __name__ == "__main__":
    main(sys.argv[1])
