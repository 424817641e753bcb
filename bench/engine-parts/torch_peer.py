"""The steps of the engine benchmark in PyTorch, one step a request, so that its samples can lie between ours.

usage: torch_peer.py CASE IMAGES THREADS PRECISION, with CASE vit-tiny, msn-tiny or msn-small, PRECISION float32 or bfloat16.
Prints one line of JSON ({"version", "variants", "peakMiB": {variant: MiB}, "leftOut": {variant: why}}), then for each variant named on
stdin the milliseconds of one step. A variant's peak is that of the process once it and those before it have run. Of MSN only the faster attention goes on.

vit-tiny: 224 px, forward, backward, AdamW and moving average; the last block computes the class token alone, as ours does.
msn-*: the whole MSN step on 12 views. `usual`: as lightly's and timm's users write it, all patches embedded by the convolution,
the masked ones dropped afterwards, the last block whole. `same`: only kept patches embedded, class token alone in the last block.
"""

import json
import math
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

LABELS, FOCAL, KEEP, PROTOTYPES, EHR = 14, 10, 0.85, 1024, 3


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.sdpa = heads, False
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.gelu, self.fc2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)

    def attention(self, x, class_token_alone):
        rows, _, dim = x.shape
        split = lambda t: t.reshape(rows, -1, self.heads, dim // self.heads).transpose(1, 2)
        if class_token_alone:
            q = F.linear(x[:, :1], self.qkv.weight[:dim], self.qkv.bias[:dim])
            k, v = F.linear(x, self.qkv.weight[dim:], self.qkv.bias[dim:]).chunk(2, -1)
        else:
            q, k, v = self.qkv(x).chunk(3, -1)
        q, k, v = split(q), split(k), split(v)
        if self.sdpa:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = ((q @ k.transpose(-2, -1)) * (dim // self.heads) ** -0.5).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(rows, -1, dim))

    def forward(self, x, class_token_alone=False):
        attended = self.attention(self.norm1(x), class_token_alone)
        x = (x[:, :1] if class_token_alone else x) + attended
        return x + self.fc2(self.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    """Features of the class token. Takes patch vectors of the kept patches, or whole images and which patches to keep."""

    def __init__(self, dim, heads):
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 16, 16)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, 197, dim) * 0.02)
        self.blocks = nn.ModuleList([Block(dim, heads) for _ in range(12)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def positions(self, grid):
        own = self.pos_embed[:, 1:]
        if grid == 14:
            return own
        square = own.reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
        return F.interpolate(square, size=(grid, grid), mode="bicubic").permute(0, 2, 3, 1).reshape(1, grid * grid, -1)

    def forward(self, view):
        positions, kept = self.positions(view["grid"]), view["kept"]
        same = "patches" in view
        if same:
            x = F.linear(view["patches"], self.embed.weight.flatten(1), self.embed.bias)
            x = x + (positions if kept is None else positions[0][kept])
        else:
            x = self.embed(view["images"]).flatten(2).transpose(1, 2) + positions
            if kept is not None:
                x = x.gather(1, kept.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        x = torch.cat([(self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1), x], 1)
        for i, block in enumerate(self.blocks):
            x = block(x, class_token_alone=same and i == len(self.blocks) - 1)
        return self.norm(x[:, 0])


def view(images, grid, keep, same):
    count = grid * grid
    kept = None
    if keep < 1:
        kept = torch.stack([torch.randperm(count)[: math.floor(keep * count)].sort().values for _ in range(images)])
    if same:
        rows = count if kept is None else kept.shape[1]
        return {"grid": grid, "kept": kept, "patches": torch.rand(images, rows, 768) - 0.5}
    return {"grid": grid, "kept": kept, "images": torch.rand(images, 3, 16 * grid, 16 * grid) - 0.5}


class Msn(nn.Module):
    """Backbone, head and fusion of one network."""

    def __init__(self, dim):
        super().__init__()
        wide = 4 * dim
        self.backbone = ViT(dim, 6)
        self.head = nn.Sequential(
            *[nn.Linear(dim, wide, bias=False), nn.BatchNorm1d(wide), nn.GELU()],
            *[nn.Linear(wide, wide, bias=False), nn.BatchNorm1d(wide), nn.GELU(), nn.Linear(wide, dim)],
        )
        self.ehr, self.fuse = nn.Linear(EHR, 128), nn.Linear(dim + 128, dim)


def sinkhorn(t):
    q = t / t.sum()
    for _ in range(3):
        q = q / q.sum(0, keepdim=True).clamp_min(1e-30) / q.shape[1]
        q = q / q.sum(1, keepdim=True) / q.shape[0]
    return q * q.shape[0]


def msn_case(images, dim):
    online, target = Msn(dim), Msn(dim)
    target.load_state_dict(online.state_dict())
    prototypes = F.normalize(torch.rand(PROTOTYPES, dim) - 0.5, dim=-1)
    ehr = torch.rand(images, EHR)
    averaged = [*target.backbone.parameters(), *target.head.parameters()]
    sources = [*online.backbone.parameters(), *online.head.parameters()]
    batches = {}
    for same in (False, True):
        views = [view(images, 14, 1, same), view(images, 14, KEEP, same), view(FOCAL * images, 6, KEEP, same)]
        batches["same" if same else "usual"] = views

    def loss_of(kind):
        whole, random, focal = batches[kind]
        with torch.no_grad():
            torch._foreach_lerp_(averaged, sources, 0.004)
            t = sinkhorn((F.normalize(target.head(target.backbone(whole)), dim=-1) @ prototypes.T / 0.025).softmax(-1))
        anchors = torch.cat([online.backbone(random), online.backbone(focal)])
        fused = online.fuse(torch.cat([anchors, online.ehr(ehr).repeat(1 + FOCAL, 1)], 1))
        log_p = F.log_softmax(F.normalize(online.head(fused), dim=-1) @ prototypes.T / 0.1, -1)
        mean = log_p.exp().mean(0)
        return -(t.repeat(1 + FOCAL, 1) * log_p).sum(-1).mean() + math.log(PROTOTYPES) + (mean * mean.log()).sum()

    blocks = [block for network in (online, target) for block in network.backbone.blocks]
    return online, blocks, {"usual": lambda: loss_of("usual"), "same": lambda: loss_of("same")}, None


def vit_case(images):
    vit, head = ViT(192, 3), nn.Linear(192, LABELS)
    model = nn.ModuleList([vit, head])
    whole = view(images, 14, 1, True)
    labels = torch.rand(images, LABELS).round()
    average = [p.detach().clone() for p in model.parameters()]

    def forward():
        return F.binary_cross_entropy_with_logits(head(vit(whole)), labels)

    def after():
        torch._foreach_lerp_(average, list(model.parameters()), 0.004)

    return model, list(vit.blocks), {"eager": forward, "compile": torch.compile(forward)}, after


def main():
    case, images, threads, precision = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    vit = case == "vit-tiny"
    model, blocks, losses, after = vit_case(images) if vit else msn_case(images, 384 if case == "msn-small" else 192)
    trained = list(model.parameters())
    optimisers = {"fused": torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05, fused=True)}
    if vit:
        optimisers["foreach"] = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05, foreach=True)

    def step(variant):
        kind, attention, optimiser = variant.split()
        for block in blocks:
            block.sdpa = attention == "sdpa"
        optimisers[optimiser].zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = losses[kind]()
        loss.backward()
        optimisers[optimiser].step()
        if after is not None:
            with torch.no_grad():
                after()
        return loss.item()

    def milliseconds(variant):
        begin = time.perf_counter()
        step(variant)
        return (time.perf_counter() - begin) * 1e3

    variants = [f"{kind} {attention} {o}" for kind in losses for attention in ("plain", "sdpa") for o in optimisers]
    peaks, warm = {}, {}
    left_out = {}
    for variant in variants:
        try:
            step(variant)
        except Exception as error:
            # torch.compile wants a C++ compiler.
            left_out[variant] = str(error).strip().split("\n")[0]
            continue
        warm[variant] = milliseconds(variant)
        peaks[variant] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    variants = list(warm)
    if not vit:
        # A step takes seconds: of the two attentions only the faster one goes on.
        variants = [min((v for v in variants if v.split()[0] == kind), key=warm.get) for kind in losses]
    print(json.dumps({"version": torch.__version__, "variants": variants, "peakMiB": peaks, "leftOut": left_out}), flush=True)
    for line in sys.stdin:
        print(milliseconds(line.strip()), flush=True)


main()
