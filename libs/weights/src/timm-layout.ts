/**
 * A backbone under the names and in the layout of timm's VisionTransformer (Wightman, pytorch-image-models; torchvision and
 * others convert from it): `cls_token` [1, 1, D], `pos_embed` [1, 1 + patches, D], `patch_embed.proj.weight` [D, 3, P, P],
 * `blocks.N.{norm1,attn.qkv,attn.proj,norm2,mlp.fc1,mlp.fc2}`, `norm`; weights of linear layers are [out, in], query, key and
 * value stacked in this order. The training uses the same names and layout, so nothing is moved or turned.
 */
import type { BackboneSpec } from '#libs/experiments'
import { backboneParameters } from '#libs/msn'
import { ArtifactMismatchError, type NamedTensors } from '#libs/training'

export type Network = 'target' | 'online'

/**
 * The backbone of one network of a checkpoint, without its heads.
 * @param tensors `target.*` and `online.*`, as pretrainings commit them
 * @throws ArtifactMismatchError where the network is not there, or not whole
 */
export function timmBackbone(backbone: BackboneSpec, tensors: NamedTensors, network: Network): NamedTensors {
  if (!Object.keys(tensors).some((name) => name.startsWith(`${network}.`))) {
    throw new ArtifactMismatchError(`the checkpoint has no ${network} network`)
  }
  return fitting(backbone, (name) => tensors[`${network}.${name}`], `the ${network} network`)
}

/** What a file may hold beside the backbone: a classifier, which is not taken over. */
const BESIDE = /^(head|fc_norm|head_dist)\./

/**
 * The backbone of a file in timm's layout, as `online.*`: the form that evaluations start from.
 * @throws ArtifactMismatchError that names the first tensor that is missing, strange or of another shape
 */
export function fromTimm(backbone: BackboneSpec, tensors: NamedTensors): NamedTensors {
  const known = new Set(backboneParameters(backbone).map(({ name }) => name))
  const strange = Object.keys(tensors).find((name) => !known.has(name) && !BESIDE.test(name))
  if (strange) throw new ArtifactMismatchError(`the file holds ${strange}, which ${backbone.name} in timm's layout does not have`)
  const own = fitting(backbone, (name) => tensors[name], 'the file')
  return Object.fromEntries(Object.entries(own).map(([name, tensor]) => [`online.${name}`, tensor]))
}

function fitting(
  backbone: BackboneSpec,
  tensorOf: (name: string) => NamedTensors[string] | undefined,
  holder: string,
): NamedTensors {
  const found: NamedTensors = {}
  for (const { name, shape } of backboneParameters(backbone)) {
    const tensor = tensorOf(name)
    if (!tensor) throw new ArtifactMismatchError(`${holder} lacks ${name}`)
    if (tensor.shape.join() !== shape.join()) {
      throw new ArtifactMismatchError(`${holder} has ${name} of shape [${tensor.shape}], ${backbone.name} has [${shape}]`)
    }
    const bad = tensor.data.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0) throw new ArtifactMismatchError(`${holder} has ${name} with a value that is not finite, at index ${bad}`)
    found[name] = { shape, data: tensor.data }
  }
  return found
}
