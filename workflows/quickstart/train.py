"""Train the quickstart's image classifier and write the files that the workflow reads.

A ResNet-8 learns Fashion-MNIST (28 x 28 grey images of ten kinds of clothing) on the CPU, in two to three minutes on
two cores. Everything is seeded: on one machine and one version of torch, two runs write the same bytes.

Needs the `hf` extra (torch, onnx, onnxscript) and Debian's data package, or its four `idx` files in another folder:

    pip install "olivelike[hf]"
    sudo apt-get install dataset-fashion-mnist
    python workflows/quickstart/train.py

Writes `fashion.onnx`, `calibration.npz`, `test.npz` and `certification.npz`; README.md says what each one holds.
"""

import argparse
import gzip
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

SEED = 0
THREADS = 2  # fixed, because the number of threads sets the order of the sums
BATCH = 128
# Inputs are scaled to unit deviation but not centred: a factor folds into the first convolution exactly, whereas a mean
# would turn its zero padding into a grey frame. The batch norm behind that convolution takes care of the mean.
SCALE = 1 / (255 * 0.353)

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def main() -> None:
    """Train, export, choose the images of the three data files, and print the accuracy of the exported model."""
    parser = argparse.ArgumentParser(description="Train the quickstart's classifier and write its files.")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    images, labels = read_split(args.data, "train")
    test_images, test_labels = read_split(args.data, "t10k")

    net = resnet8().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    train(net, torch.from_numpy(images), torch.from_numpy(labels), args.epochs)
    args.out.mkdir(parents=True, exist_ok=True)
    model = args.out / "fashion.onnx"
    export(net, model)
    print(f"all test images: top-1 {top1(model, test_images, test_labels):.4f}")

    choice = np.random.default_rng(SEED)
    calibration = choice.permutation(len(images))[:512]
    write_npz(args.out / "calibration.npz", {"image": images[calibration]})
    shuffled = choice.permutation(len(test_images))
    for name, part in (("test", shuffled[:4000]), ("certification", shuffled[4000:8000])):
        write_npz(args.out / f"{name}.npz", {"images": test_images[part], "labels": test_labels[part]})
        print(f"{name}.npz: top-1 {top1(model, test_images[part], test_labels[part]):.4f}")


def read_split(folder: Path, split: str) -> tuple[Images, Labels]:
    """Read uint8 images [n, 1, 28, 28] and int64 labels [n] from idx files (headers of 16 and 8 bytes)."""
    pixels = gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes())
    classes = gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(bytearray(pixels), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return images, np.frombuffer(classes, np.uint8, offset=8).astype(np.int64)


class ConvNorm(nn.Module):
    """A zero-padded convolution and its batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return self.norm(self.conv(x))


class Block(nn.Module):
    """A basic residual block (He et al. 2016, figure 2); the shortcut is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3)
        same_shape = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same_shape else ConvNorm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return relu(self.second(relu(self.first(x))) + self.shortcut(x))


def resnet8() -> nn.Sequential:
    """Build the network; its widths are multiples of 16, the block of the float convolution kernels on AVX-512."""
    blocks = OrderedDict(block1=Block(32, 32, 1), block2=Block(32, 64, 2), block3=Block(64, 64, 1))
    head = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classes=nn.Linear(64, 10))
    return nn.Sequential(OrderedDict(stem=ConvNorm(1, 32, 3, stride=2), relu=nn.ReLU(), **blocks, **head))


def train(net: nn.Sequential, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Fit by SGD with a one-cycle learning rate; leaves the network in eval mode."""
    steps = len(images) // BATCH
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=epochs * steps)
    net.train()
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            loss = cross_entropy(net(augment(images[chosen]) * SCALE), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: training loss {total / steps:.4f}", flush=True)
    net.eval()


def augment(batch: Tensor) -> Tensor:
    """Mirror each image with probability one half and shift the whole batch by up to one pixel each way."""
    mirrored = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, batch.flip(3), batch)
    top, left = torch.randint(0, 3, (2,)).tolist()
    return pad(mirrored, (1, 1, 1, 1))[:, :, top : top + 28, left : left + 28]


def export(net: nn.Sequential, path: Path) -> None:
    """Write the network as ONNX for float32 images [batch, 1, 28, 28] with values 0 to 255, weights inside."""
    for part in net.modules():
        if isinstance(part, ConvNorm) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv, part.norm = fuse_conv_bn_eval(part.conv, part.norm), nn.Identity()
    net.get_parameter("stem.conv.weight").data.mul_(SCALE)
    torch.onnx.export(
        net,
        (torch.zeros(2, 1, 28, 28),),
        path,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,  # torch.export would turn the pooling into ReduceMean, which the int8 formats leave in float
    )
    onnx.checker.check_model(path, full_check=True)


def top1(model: Path, images: Images, labels: Labels) -> float:
    """Return the share of images [n, 1, 28, 28] whose highest logit is at the label."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images.astype(np.float32)})
    return float((logits.argmax(1) == labels).mean())


def write_npz(path: Path, arrays: Mapping[str, Images | Labels]) -> None:
    """Write what `np.savez_compressed` would, but with a fixed date, so that equal arrays are equal bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array)


if __name__ == "__main__":
    main()
