"""ViT-Tiny 224 px in PyTorch: forward, backward, AdamW and moving average, the arithmetic of the engine benchmark's ViT step.

usage: vit_torch.py IMAGES THREADS. Prints torch's version, then for each line on stdin the milliseconds of one step.
The last block computes the class token alone, as the other side does.
"""

import sys
import time

import torch
from torch import nn

DIM, DEPTH, HEADS, PATCHES, PATCH_DIM, LABELS = 192, 12, 3, 196, 768, 14


class Block(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.last = last
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.fc1, self.gelu, self.fc2 = nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM)

    def attention(self, x):
        rows, tokens, _ = x.shape
        split = lambda t: t.reshape(rows, -1, HEADS, DIM // HEADS).transpose(1, 2)
        if self.last:
            q = nn.functional.linear(x[:, :1], self.qkv.weight[:DIM], self.qkv.bias[:DIM])
            k, v = nn.functional.linear(x, self.qkv.weight[DIM:], self.qkv.bias[DIM:]).chunk(2, -1)
        else:
            q, k, v = self.qkv(x).chunk(3, -1)
        q, k, v = split(q), split(k), split(v)
        # Plain products: on CPUs at this size at least as fast as scaled_dot_product_attention.
        mixed = ((q @ k.transpose(-2, -1)) * (DIM // HEADS) ** -0.5).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(rows, -1, DIM))

    def forward(self, x):
        attended = self.attention(self.norm1(x))
        x = (x[:, :1] if self.last else x) + attended
        return x + self.fc2(self.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(PATCH_DIM, DIM)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.randn(1, PATCHES + 1, DIM) * 0.02)
        self.blocks = nn.ModuleList([Block(last=i == DEPTH - 1) for i in range(DEPTH)])
        self.norm, self.head = nn.LayerNorm(DIM, eps=1e-6), nn.Linear(DIM, LABELS)

    def forward(self, patches):
        tokens = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), self.embed(patches)], 1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens[:, 0]))


def main():
    images, threads = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = ViT()
    average = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    patches = torch.rand(images, PATCHES, PATCH_DIM) - 0.5
    targets = torch.rand(images, LABELS).round()

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(model(patches), targets)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(model.parameters()), 0.004)
        return loss.item()

    for _ in range(2):
        step()
    print(torch.__version__, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        step()
        print((time.perf_counter() - begin) * 1e3, flush=True)


main()
