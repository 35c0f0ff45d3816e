from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from robolearn.errors import PolicyError
from robolearn.policies.encoders.backbones import ResNet18, SmallBackbone


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Random weights, as torchvision's files hold them."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    net = resnet18(weights=None)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    return net.state_dict()


def test_the_maps_are_of_the_size_that_is_said() -> None:
    images = torch.rand(2, 3, 76, 76)
    assert SmallBackbone(3)(images).shape == (2, 32, 15, 15)
    assert ResNet18(3, pretrained=False)(images).shape == (2, 512, 3, 3)
    for backbone in (SmallBackbone(1), ResNet18(1, pretrained=False)):
        size = backbone.least_size
        assert backbone(torch.rand(2, 1, size, size)).shape[2:] == (2, 2)
        assert 1 in backbone(torch.rand(2, 1, size - 1, size)).shape[2:]
    assert sum(weights.numel() for weights in SmallBackbone(3).parameters()) == 15_264


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_does_not_depend_on_the_others_of_the_batch(channels: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(3, channels, 40, 40)
    for backbone in (SmallBackbone(channels), ResNet18(channels, pretrained=False)):
        backbone.train()
        torch.testing.assert_close(backbone(images)[:1], backbone(images[:1]), atol=1e-4, rtol=1e-4)
        names = dict(backbone.named_buffers())
        assert not any("running" in name for name in names)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_published_weights_give_published_maps(published, tmp_path: Path, suffix: str) -> None:
    from torchvision.models import resnet18

    path = tmp_path / f"resnet18{suffix}"
    save_file(published, path) if suffix == ".safetensors" else torch.save(published, path)
    backbone = ResNet18(3, pretrained=True).train()
    backbone.load(path)
    net = resnet18(weights=None)
    net.load_state_dict(published)
    net.avgpool, net.fc = torch.nn.Identity(), torch.nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = net.eval()((images - mean) / deviation).unflatten(1, (512, 2, 2))
    torch.testing.assert_close(backbone(images), expected, atol=1e-4, rtol=1e-4)


def test_depth_begins_with_the_mean_of_the_colours(published, tmp_path: Path) -> None:
    save_file(published, tmp_path / "w.safetensors")
    colours = published["conv1.weight"]
    for channels in (1, 4):
        backbone = ResNet18(channels, pretrained=True)
        backbone.load(tmp_path / "w.safetensors")
        first = backbone.layers.conv1.weight
        torch.testing.assert_close(first[:, -1], colours.mean(1))
        if channels == 4:
            torch.testing.assert_close(first[:, :3], colours)


def test_files_that_do_not_fit_are_named(published, tmp_path: Path) -> None:
    backbone = ResNet18(3, pretrained=True)
    with pytest.raises(PolicyError, match=r"nowhere\.pth: there is no such file"):
        backbone.load(tmp_path / "nowhere.pth")
    for name, content in (("cut.safetensors", b"\x10"), ("cut.pth", b"no"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PolicyError, match=rf"{name}: no readable weights$"):
            backbone.load(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(PolicyError, match=r"list\.pth: no weights of a ResNet-18, but list$"):
        backbone.load(tmp_path / "list.pth")
    torch.save(Path("a class that is no tensor"), tmp_path / "pickle.pth")
    with pytest.raises(PolicyError, match=r"pickle\.pth: no readable weights$"):
        backbone.load(tmp_path / "pickle.pth")
    less = {name: value for name, value in published.items() if "layer4.1.bn" not in name}
    save_file(less, tmp_path / "less.safetensors")
    with pytest.raises(PolicyError, match=r"layer4\.1\.bn1\.\w+ is missing, and 7 more$"):
        backbone.load(tmp_path / "less.safetensors")
    wide = published | {"layer1.0.conv1.weight": torch.zeros(64, 32, 3, 3)}
    save_file(wide, tmp_path / "wide.safetensors")
    with pytest.raises(
        PolicyError, match=r"layer1\.0\.conv1\.weight is \(64, 32, 3, 3\), not \(64, 64, 3, 3\)$"
    ):
        backbone.load(tmp_path / "wide.safetensors")
