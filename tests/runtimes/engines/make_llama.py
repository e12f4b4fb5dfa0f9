"""`python make_llama.py DIRECTORY`: a Llama with random weights and a tokenizer trained on a few lines, saved with
MLflow's transformers flavor. Runs in the engine's environment.
"""

import sys
from pathlib import Path

import mlflow.transformers
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, pipeline

directory = Path(sys.argv[1])
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
lines = ["the mill turns the wheel", "a headrace brings water to the wheel of the mill"]
special = ["<s>", "</s>"]
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator(
    lines, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
)
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
torch.manual_seed(7)
config = LlamaConfig(
    vocab_size=len(fast),
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=2,  # a head size of 64; vLLM on CPU refuses 16
    num_key_value_heads=2,
    max_position_embeddings=512,
    bos_token_id=0,
    eos_token_id=1,
)
mlflow.transformers.save_model(
    pipeline("text-generation", model=LlamaForCausalLM(config), tokenizer=fast),
    str(directory),
    task="llm/v1/chat",
    pip_requirements=["transformers"],
)
