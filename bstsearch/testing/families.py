"""What every family must pass: subclass FamilyContract once per family, with a small configuration."""

from __future__ import annotations

import copy
import dataclasses
import fnmatch
import itertools
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bstsearch.graphs.onnx_file import locate, write_onnx
from bstsearch.graphs.positions import Located
from bstsearch.graphs.shared_weights import SharedWeights
from bstsearch.model.family import Config, Family, seeded
from bstsearch.model.supernet import Supernet
from bstsearch.model.zero_padding import RIGHT, padding_error
from bstsearch.space import ONE, Space, Submodel


class FamilyContract:
    """A subclass sets `family`, a small `config` without dropout, and where heads and FFN units go out.

    `heads_leave_by` and `ffn_leaves_by` are shell-style patterns over the weights whose axis 1 goes along heads or FFN
    units, with the name of the layer left out ("merge.weight"). They stay None where a layer cannot choose its heads or
    its FFN units by itself; the masked oracle is left out then. `is_part_of_the_full_model` is False only where a
    number in the code, or a buffer, depends on a size, so that no narrower model is the full one with zeros around it.
    Everything but ONNX runs in float64, where two right ways differ by rounding only.
    """

    family: Family
    config: Config
    heads_leave_by: str | None = None
    ffn_leaves_by: str | None = None
    is_part_of_the_full_model: bool = True

    def inputs(self) -> dict[str, Tensor]:
        """A batch of three, in float64 where it is not of integers."""
        inputs = self.family.example_inputs(self.config, 3)
        return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}

    @pytest.fixture
    def supernet(self) -> Supernet:
        """In eval mode; no parameter is left at a value that could hide an error (zero, one, all the same)."""
        supernet = Supernet(self.family, self.config).double().eval()
        source = seeded(1)
        with torch.no_grad():
            for parameter in supernet.parameters():
                parameter.normal_(0, 0.3, generator=source)
            for buffer in _state_buffers(supernet.model).values():
                if buffer.is_floating_point():
                    buffer.uniform_(0.5, 1.5, generator=source)
        return supernet

    @pytest.fixture
    def submodels(self, supernet: Supernet) -> list[Submodel]:
        """Every uniform submodel, and for each of them one whose layers choose their sizes at random."""
        return [*supernet.space.grid(), *self._layerwise(supernet.space)]

    # One model, three ways

    def test_forward_is_the_fixed_part_then_the_elastic_part(self, supernet: Supernet) -> None:
        model, inputs = supernet.model, self.inputs()
        features = model.fixed(**inputs)  # type: ignore[operator]
        assert torch.equal(model(**inputs), model.elastic(*features))  # type: ignore[operator]

    def test_the_largest_submodel_is_the_full_model(self, supernet: Supernet) -> None:
        assert self.family.shrink(self.config, Submodel()) == self.config
        with supernet.bind(Submodel()) as model:
            assert model is supernet.model
        assert torch.equal(supernet.materialise(Submodel())(**self.inputs()), supernet.model(**self.inputs()))

    def test_a_bound_submodel_computes_what_the_materialised_one_does(
        self, supernet: Supernet, submodels: list[Submodel]
    ) -> None:
        inputs = self.inputs()
        for submodel in submodels:
            with supernet.bind(submodel) as bound:
                assert_same(bound(**inputs), supernet.materialise(submodel)(**inputs), submodel)

    def test_onnx_computes_what_the_materialised_submodel_does(self, supernet: Supernet, tmp_path: Path) -> None:
        supernet.float()
        inputs = self.family.example_inputs(self.config, 3)
        for submodel in (supernet.space.smallest, self._layerwise(supernet.space)[-1]):
            model = supernet.materialise(submodel)
            free = self.family.free_axes(self.config)
            write_onnx(model, self.family.example_inputs(self.config, 1), tmp_path / "model.onnx", free)
            session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
            (logits,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
            torch.testing.assert_close(torch.from_numpy(logits), model(**inputs).detach(), rtol=1e-4, atol=1e-4)

    def test_over_the_full_model_s_file_of_weights_a_submodel_is_that_of_its_own_file(
        self, supernet: Supernet, tmp_path: Path
    ) -> None:
        """The same outputs, bit by bit; and most of its numbers are found in the file."""
        supernet.float()
        weights = SharedWeights(tmp_path / "weights.bin", sum(one.numel() for one in supernet.model.parameters()))
        weights.add_full(self._located(supernet, Submodel()))
        full_bytes = weights.path.stat().st_size
        located = self._located(supernet, supernet.space.smallest)
        models = {"alone": located.model, "shared": weights.graph(located)}
        for name, model in models.items():
            onnx.save(model, tmp_path / f"{name}.onnx")
        inputs = {name: value.numpy() for name, value in self.family.example_inputs(self.config, 3).items()}
        alone, shared = (
            onnxruntime.InferenceSession(tmp_path / f"{name}.onnx").run(None, inputs)[0] for name in models
        )
        assert alone.tobytes() == shared.tobytes()
        assert weights.path.stat().st_size - full_bytes < located.model.ByteSize() / 4

    def _located(self, supernet: Supernet, submodel: Submodel) -> Located:
        model, positions = supernet.numbered(submodel)
        inputs = self.family.example_inputs(self.family.shrink(self.config, submodel), 1)
        return locate(model, inputs, positions, self.family.free_axes(self.config))

    def test_every_submodel_is_a_model_of_its_own(self, supernet: Supernet) -> None:
        """As an exported folder holds it: a supernet whose space is the submodel alone."""
        for submodel in supernet.space.grid():
            small = self.family.shrink(self.config, submodel)
            stacks = tuple(len(kept) for kept in self.family.kept_layers(self.config, submodel).values())
            self.family.check(small, Space(widths=(ONE,), depths=(ONE,), stacks=stacks))

    def test_fewer_tokens_of_the_image_are_seen_by_a_model_of_its_own(self, supernet: Supernet, tmp_path: Path) -> None:
        """Bound, materialised and in ONNX alike, from one fixed part."""
        shares = self.family.token_shares(self.config)
        if shares == (ONE,):
            pytest.skip("all submodels see all tokens of the image")
        space = dataclasses.replace(supernet.space.elastic, tokens=shares)
        self.family.check(self.config, space)
        inputs = self.inputs()
        features = supernet.model.fixed(**inputs)  # type: ignore[operator]
        for submodel in (space.smallest, Submodel(tokens=shares[0])):
            with supernet.bind(submodel) as bound:
                assert_same(bound.elastic(*features), supernet.materialise(submodel)(**inputs), submodel)  # type: ignore[operator]
        supernet.float()
        model, examples = supernet.materialise(space.smallest), self.family.example_inputs(self.config, 3)
        write_onnx(model, examples, tmp_path / "model.onnx", self.family.free_axes(self.config))
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        (logits,) = session.run(None, {name: value.numpy() for name, value in examples.items()})
        torch.testing.assert_close(torch.from_numpy(logits), model(**examples).detach(), rtol=1e-4, atol=1e-4)

    # The masked oracle: what is left of a slimmer layer, without slicing

    def test_fewer_heads_are_the_full_model_with_their_outgoing_weights_at_zero(self, supernet: Supernet) -> None:
        if self.heads_leave_by is None:
            pytest.skip("no layer chooses its heads by itself")
        for heads in _rows(supernet.space):
            oracle = copy.deepcopy(supernet.model)
            self._zero_outgoing(oracle, self.heads_leave_by, heads)
            self._assert_submodel_is(oracle, supernet, Submodel(heads=heads))

    def test_fewer_ffn_units_are_the_full_model_with_their_outgoing_weights_at_zero(self, supernet: Supernet) -> None:
        if self.ffn_leaves_by is None:
            pytest.skip("no layer chooses its FFN units by itself")
        for ffn in _rows(supernet.space):
            oracle = copy.deepcopy(supernet.model)
            self._zero_outgoing(oracle, self.ffn_leaves_by, ffn)
            self._assert_submodel_is(oracle, supernet, Submodel(ffn=ffn))

    def test_fewer_layers_are_the_full_model_without_the_others(self, supernet: Supernet) -> None:
        all_layers = self.family.kept_layers(self.config, Submodel())
        for depth in supernet.space.depths:
            oracle = copy.deepcopy(supernet.model)
            for prefix, kept in self.family.kept_layers(self.config, Submodel(depth=depth)).items():
                if kept == all_layers[prefix]:
                    continue
                parent, _, name = prefix.rpartition(".")
                layers = oracle.get_submodule(prefix)
                setattr(
                    oracle.get_submodule(parent), name, nn.ModuleList(list(layers.children())[index] for index in kept)
                )
            self._assert_submodel_is(oracle, supernet, Submodel(depth=depth))

    # The zero-padding oracle: a narrow model is the full one with zeros around it

    def test_a_narrower_model_is_the_full_one_with_zeros_around_it(self, supernet: Supernet) -> None:
        if not self.is_part_of_the_full_model:
            pytest.skip("something that is no weight depends on a size")
        for width in supernet.space.widths:
            submodel = Submodel(width=width)
            error = padding_error(self.family, self.config, submodel, self.inputs())
            assert error <= RIGHT, f"{submodel.id} is off by {error:.1e}: some axis is cut in the wrong places"

    # Gradients

    def test_gradients_are_the_materialised_ones_at_their_slice_and_none_elsewhere(
        self, supernet: Supernet, submodels: list[Submodel]
    ) -> None:
        numbered = _numbered(supernet)
        for submodel in submodels:
            supernet.zero_grad()
            self._backward(supernet, submodel)
            expected = self._placed_gradients(supernet, numbered, submodel)
            assert_same(_flat_gradients(supernet.model), expected, submodel)
            assert not _flat_gradients(supernet.model)[expected == 0].any(), submodel.id

    def test_gradients_of_several_submodels_add_up(self, supernet: Supernet) -> None:
        space = supernet.space
        sandwich = [space.smallest, space.largest, space.middle, space.smallest]
        for submodel in sandwich:
            self._backward(supernet, submodel)
        numbered = _numbered(supernet)
        expected = torch.stack([self._placed_gradients(supernet, numbered, submodel) for submodel in sandwich]).sum(0)
        assert_same(_flat_gradients(supernet.model), expected, space.smallest)

    def test_activation_checkpointing_leaves_the_gradients_as_they_are(self, supernet: Supernet) -> None:
        submodel = supernet.space.middle
        self._backward(supernet, submodel)
        expected = _flat_gradients(supernet.model)
        supernet.zero_grad()
        with supernet.bind(submodel) as model:
            features = model.fixed(**self.inputs())  # type: ignore[operator]
            checkpoint(model.elastic, *features, use_reentrant=False).square().sum().backward()
        assert_same(_flat_gradients(supernet.model), expected, submodel)

    def test_frozen_parameters_get_no_gradient(self, supernet: Supernet) -> None:
        supernet.requires_grad_(False)
        name, trained = next(iter(supernet.model.named_parameters()))
        trained.requires_grad_(True)
        self._backward(supernet, supernet.space.middle)
        assert [other for other, weight in supernet.model.named_parameters() if weight.grad is not None] == [name]

    def test_a_block_that_fails_leaves_no_gradient(self, supernet: Supernet) -> None:
        submodel = supernet.space.smallest

        def fail() -> None:
            with supernet.bind(submodel) as model:
                model(**self.inputs()).sum().backward()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert all(weight.grad is None for weight in supernet.parameters())
        with supernet.bind(submodel):
            pass
        assert all(weight.grad is None for weight in supernet.parameters())

    # Binding follows the supernet

    def test_an_optimiser_step_is_seen_by_the_next_bind(self, supernet: Supernet) -> None:
        submodel, inputs = supernet.space.smallest, self.inputs()
        optimiser = torch.optim.SGD(supernet.parameters(), lr=0.01)
        with supernet.bind(submodel) as model:
            before = model(**inputs)
            before.square().sum().backward()
        optimiser.step()
        with supernet.bind(submodel) as model:
            after = model(**inputs)
        assert not torch.allclose(before, after)
        assert_same(after, supernet.materialise(submodel)(**inputs), submodel)

    def test_new_precision_is_seen_by_the_next_bind(self, supernet: Supernet) -> None:
        submodel, inputs = supernet.space.smallest, self.inputs()
        with supernet.bind(submodel) as model:
            expected = model(**inputs)
        supernet.float()
        with supernet.bind(submodel) as model:
            found = model(**self.family.example_inputs(self.config, 1))
            assert found.dtype == torch.float32
            assert {tensor.dtype for tensor in model.buffers()} <= {torch.float32, torch.int64}
        supernet.double()
        with supernet.bind(submodel) as model:
            torch.testing.assert_close(model(**inputs), expected, rtol=1e-3, atol=1e-3)

    def test_training_after_scoring_in_inference_mode(self, supernet: Supernet) -> None:
        submodel = supernet.space.smallest
        with torch.inference_mode(), supernet.bind(submodel) as model:
            model(**self.inputs())
        self._backward(supernet, submodel)
        expected = self._placed_gradients(supernet, _numbered(supernet), submodel)
        assert_same(_flat_gradients(supernet.model), expected, submodel)

    @pytest.mark.parametrize("is_training", [True, False])
    def test_training_mode_is_mirrored(self, supernet: Supernet, is_training: bool) -> None:
        supernet.train(is_training)
        with supernet.bind(supernet.space.smallest) as model:
            assert {module.training for module in model.modules()} == {is_training}
        assert {module.training for module in supernet.materialise(supernet.space.smallest).modules()} == {is_training}

    def test_a_bound_submodel_shares_memory_and_a_materialised_one_does_not(self, supernet: Supernet) -> None:
        full = {tensor.untyped_storage().data_ptr() for tensor in supernet.model.state_dict().values()}
        fused = {axis.parameter for axis in self.family.axes_of(self.config)}  # cut into copies
        own = supernet.materialise(supernet.space.smallest).state_dict().values()
        assert full.isdisjoint(tensor.untyped_storage().data_ptr() for tensor in own)
        with supernet.bind(supernet.space.smallest) as model:
            for name, tensor in model.state_dict().items():
                if not any(fnmatch.fnmatchcase(name, pattern) for pattern in fused):
                    assert tensor.untyped_storage().data_ptr() in full, name

    def test_buffers_that_are_state_are_shared_and_others_are_the_small_models_own(self, supernet: Supernet) -> None:
        submodel = supernet.space.smallest
        built = self.family.build(self.family.shrink(self.config, submodel)).double()
        materialised = dict(supernet.materialise(submodel).named_buffers())
        full = dict(supernet.model.named_buffers())
        with supernet.bind(submodel) as bound:
            for name, buffer in bound.named_buffers():
                if name in _state_buffers(bound):
                    assert buffer is full[name], name
                    assert torch.equal(materialised[name], full[name]), name
                else:
                    assert torch.equal(buffer, built.get_buffer(name)), name
                    assert torch.equal(materialised[name], built.get_buffer(name)), name

    def test_ties_hold(self, supernet: Supernet) -> None:
        submodel = Submodel(width=supernet.space.widths[0])  # all layers, so that every name is there
        ties = _ties(supernet.model)
        assert _ties(supernet.materialise(submodel)) == ties
        with supernet.bind(submodel) as model:
            assert _ties(model) == ties

    def test_small_models_are_no_part_of_the_supernet(self, supernet: Supernet) -> None:
        names = list(supernet.state_dict())
        for submodel in supernet.space:
            with supernet.bind(submodel):
                pass
        assert list(supernet.state_dict()) == names
        assert len(list(supernet.parameters())) == len(list(supernet.model.parameters()))

    def test_no_random_number_is_drawn(self, supernet: Supernet) -> None:
        state = torch.get_rng_state()
        with supernet.bind(supernet.space.smallest):
            supernet.materialise(supernet.space.middle)
        assert torch.equal(torch.get_rng_state(), state)

    def test_save_and_load(self, supernet: Supernet, tmp_path: Path) -> None:
        supernet.float().save(tmp_path)
        loaded = Supernet.load(tmp_path)
        assert (loaded.family, loaded.config, loaded.space) == (self.family, self.config, supernet.space)
        assert not loaded.training
        assert _ties(loaded.model) == _ties(supernet.model)
        for name, tensor in supernet.model.state_dict().items():
            assert torch.equal(loaded.model.state_dict()[name], tensor), name

    # Steps

    def _backward(self, supernet: Supernet, submodel: Submodel) -> None:
        with supernet.bind(submodel) as model:
            model(**self.inputs()).square().sum().backward()

    def _assert_submodel_is(self, oracle: nn.Module, supernet: Supernet, submodel: Submodel) -> None:
        inputs = self.inputs()
        assert_same(supernet.materialise(submodel)(**inputs), oracle(**inputs), submodel)

    def _layerwise(self, space: Space) -> list[Submodel]:
        """One of each uniform submodel whose layers choose at random what they can choose."""
        choose = random.Random(0).choices
        rows = [(cell, space.kept_layers(cell)) for cell in space.grid()]
        return [
            dataclasses.replace(
                cell,
                heads=tuple(choose(space.widths, k=layers)) if self.heads_leave_by else (),
                ffn=tuple(choose(space.widths, k=layers)) if self.ffn_leaves_by else (),
            )
            for cell, layers in rows
        ]

    def _zero_outgoing(self, model: nn.Module, pattern: str, shares: tuple[Fraction, ...]) -> None:
        stacks = self.family.stacks(self.config)
        layers = [f"{stack.prefix}.{index}." for stack in stacks for index in range(len(stack.keep_order))]
        for layer, share in zip(layers, shares, strict=True):
            weights = [
                weight for name, weight in model.named_parameters() if fnmatch.fnmatchcase(name, layer + pattern)
            ]
            assert weights, f"no weight matches {layer + pattern}"
            for weight in weights:
                weight.data[:, int(share * weight.shape[1]) :] = 0

    def _placed_gradients(self, supernet: Supernet, numbered: Supernet, submodel: Submodel) -> Tensor:
        """The gradients of the materialised submodel, each added where its number came from in the full model."""
        model = supernet.materialise(submodel)
        model(**self.inputs()).square().sum().backward()
        placed = torch.zeros(sum(weight.numel() for weight in supernet.parameters()), dtype=torch.float64)
        origins = dict(numbered.materialise(submodel).named_parameters())
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                placed[origins[name].detach().long()] += weight.grad
        return placed


def assert_same(found: Tensor, expected: Tensor, submodel: Submodel) -> None:
    """Passes where the two differ by float64's rounding at most; AssertionError names the submodel."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, msg=lambda text: f"{submodel.id}: {text}")


def _numbered(supernet: Supernet) -> Supernet:
    """A copy in which every number of every parameter is its own position: a slice of it tells where it was cut."""
    numbered = copy.deepcopy(supernet)
    start = 0
    for weight in numbered.parameters():
        weight.data = torch.arange(start, start + weight.numel(), dtype=weight.dtype).view_as(weight)
        start += weight.numel()
    return numbered


def _flat_gradients(model: nn.Module) -> Tensor:
    weights = model.parameters()
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights])


def _rows(space: Space) -> Iterator[tuple[Fraction, ...]]:
    """Shares for every layer of the full model: each width everywhere, then two random rows."""
    layers = sum(space.stacks)
    choose = random.Random(0).choices
    yield from ((width,) * layers for width in space.widths)
    yield from (tuple(choose(space.widths, k=layers)) for _ in range(2))


def _state_buffers(model: nn.Module) -> dict[str, Tensor]:
    names = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in names}


def _ties(model: nn.Module) -> set[frozenset[str]]:
    names = sorted(dict(model.named_parameters(remove_duplicate=False)).items(), key=lambda item: id(item[1]))
    groups = itertools.groupby(names, key=lambda item: id(item[1]))
    return {frozenset(name for name, _ in group) for _, group in groups}
