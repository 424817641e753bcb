"""Features of an exported ViT by plain torch (no timm) and by ONNX Runtime, for weights-python.test.ts.

    python weights_reference.py FILE.safetensors FILE.onnx IMAGES.f32 BATCH

IMAGES.f32: float32 [BATCH, 3, side, side], normalised. Prints one line of JSON: {"torch": [...], "onnxruntime": [...]}.
"""

import json
import struct
import sys

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F


def read_safetensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32", name
        array = np.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, metadata


def vit(w, meta, image):
    """The class token after the final norm, as timm's VisionTransformer computes it."""
    heads, eps = int(meta["num_heads"]), float(meta["layer_norm_eps"])
    dim, patch = int(meta["embed_dim"]), int(meta["patch_size"])

    def norm(x, name):
        return F.layer_norm(x, (dim,), w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    x = F.conv2d(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([w["cls_token"].expand(x.shape[0], -1, -1), x], 1) + w["pos_embed"]
    for i in range(int(meta["depth"])):
        block = f"blocks.{i}"
        rows, tokens, _ = x.shape
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = qkv.reshape(rows, tokens, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, dim)
        x = x + linear(mixed, f"{block}.attn.proj")
        x = x + linear(F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")), f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def main(weights_path, onnx_path, images_path, batch):
    weights, meta = read_safetensors(weights_path)
    side = int(meta["image_size"])
    images = np.fromfile(images_path, dtype="<f4").reshape(int(batch), 3, side, side)
    with torch.no_grad():
        by_torch = vit(weights, meta, torch.from_numpy(images))
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    (by_onnx,) = session.run(["features"], {"image": images})
    print(json.dumps({"torch": by_torch.flatten().tolist(), "onnxruntime": by_onnx.flatten().tolist()}))


main(*sys.argv[1:])
