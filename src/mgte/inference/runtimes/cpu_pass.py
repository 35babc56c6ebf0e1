"""CpuPass: one batch on its way through the prepared encoder.

Legend: T tokens, R rows wanted of the last layer, D hidden size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mgte.inference.runtimes.prepared_linear import PreparedLinear, padded_rows
from mgte.inference.runtimes.prepared_weights import PreparedEncoder, PreparedLayer, word_rows
from mgte.inference.runtimes.row_tiles import (
    PADDING_ROWS,
    first_rows,
    part_of,
    row_tiles,
    slice_rows,
)
from mgte.inference.runtimes.worker_team import WorkerTeam
from mgte.inference.runtimes.workspace import Workspace
from mgte.kernels import (
    AttentionInput,
    EncodedRows,
    KernelSet,
    NormWeights,
    Projection,
    Rotation,
)
from mgte.model import EncoderConfig, logn_query_scale
from mgte.packing import PackedBatch

Table = tuple[Tensor, Tensor]

# Rows per product: large enough that oneDNN reaches its peak, small enough that a tile's rows are
# still in cache when the next kernel reads them, and that glibc keeps their memory mapped.
_TILE_ROWS = 256
# Attention costs as much per token as the linear layers at about this length (base-size shapes).
_ATTENTION_EVEN_TOKENS = 6000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassSettings:
    """What all passes of one runtime share.

    Attributes:
        config: Shape and switches.
        encoder: Prepared weights.
        kernels: What computes between the products.
        product_dtype: Dtype of the rows that products take; uint8 for 8-bit products.
        attention_dtype: Dtype of queries, keys and values.
    """

    config: EncoderConfig
    encoder: PreparedEncoder
    kernels: KernelSet
    product_dtype: torch.dtype
    attention_dtype: torch.dtype


class CpuPass:
    """Buffers and phases of one batch. Phases may run on several threads, on disjoint rows.

    Attributes:
        num_tokens: Tokens of the batch.
        num_rows: Rows wanted of the last layer.
    """

    def __init__(
        self,
        settings: PassSettings,
        batch: PackedBatch,
        rows: Tensor | None,
        tables: tuple[Table | None, Table | None],
        workspace: Workspace,
    ) -> None:
        self._settings, self._batch, self._tables = settings, batch, tables
        config = settings.config
        self.num_tokens = batch.num_tokens
        self._rows = None if rows is None else rows.to(torch.int64).contiguous()
        self.num_rows = self.num_tokens if rows is None else len(rows)
        self._query_scale = None
        if config.logn_attention_scale:
            self._query_scale = logn_query_scale(config, batch).flatten().contiguous()
        self._is_post = config.norm_position == "post"
        # Post-norm float32 products read the residual stream itself.
        self._is_shared = self._is_post and settings.product_dtype == torch.float32
        size = config.hidden_size
        self._positions = batch.position_ids.to(torch.int64).contiguous()
        self._cu_seqlens = batch.cu_seqlens.to(torch.int32).contiguous()
        shape = (self.num_tokens + PADDING_ROWS, size)
        self._state = workspace.take("state", shape, torch.float32)
        self._encoded = self._encoded_like("input", self._state, workspace)
        widths = (config.query_size, 2 * config.key_value_size)
        shape = (self.num_tokens, sum(widths))
        self._projected = workspace.take("qkv", shape, settings.attention_dtype)
        if rows is None:
            self._row_state, self._row_encoded = self._state, self._encoded
            self._row_queries = self._projected[:, : widths[0]]
        else:
            self._row_state = torch.zeros(self.num_rows + PADDING_ROWS, size)
            self._row_encoded = self._encoded_like("row_input", self._row_state, workspace)
            shape = (self.num_rows, widths[0])
            self._row_queries = workspace.take("row_queries", shape, settings.attention_dtype)
        self._packed: tuple[Tensor, Tensor] | None = None

    def rows_of_layer(self, layer: int) -> int:
        """Rows that `finish` has to compute."""
        return self.num_rows if self._is_last(layer) else self.num_tokens

    def embed(self, begin: int, end: int, workspace: Workspace) -> None:
        """Embeddings of some tokens into the residual stream and the first layer's input."""
        encoder, batch, kernels = self._settings.encoder, self._batch, self._settings.kernels
        for tile in row_tiles(range(begin, end), _TILE_ROWS):
            here = slice(tile.start, tile.stop)
            x = word_rows(encoder, batch.input_ids[here])
            if encoder.token_type is not None:
                types = batch.token_type_ids
                x += encoder.token_type[0 if types is None else types[here]]
            if encoder.position is not None:
                offset = self._settings.config.position_offset
                x += encoder.position[batch.position_ids[here] + offset]
            state = self._state[here]
            encoded = slice_rows(self._encoded, tile, is_padded=False)
            if self._is_post:
                target = None if self._is_shared else encoded
                kernels.norm(
                    Projection(values=x), None, encoder.embedding_norm, normed=state, encoded=target
                )
            else:
                kernels.norm(Projection(values=x), None, encoder.embedding_norm, normed=state)
                kernels.norm(Projection(values=state), None, encoder.first_norm, encoded=encoded)

    def project(self, layer: int, tokens: range, rows: range, workspace: Workspace) -> None:
        """Queries, keys and values of some tokens; in the last layer queries of some rows."""
        prepared, config = self._settings.encoder.layers[layer], self._settings.config
        whole = prepared.query_key_value
        first = config.query_size
        for tile in row_tiles(tokens, _TILE_ROWS):
            here = slice(tile.start, tile.stop)
            encoded = slice_rows(self._encoded, tile)
            if whole is not None:
                rotation = self._rotation(prepared, here, with_queries=True, with_keys=True)
                source, target = whole(encoded, len(tile)), self._projected[here]
            else:
                assert prepared.key_value is not None
                rotation = self._rotation(prepared, here, with_queries=False, with_keys=True)
                source = prepared.key_value(encoded, len(tile))
                target = self._projected[here, first:]
            self._settings.kernels.rotate(source, rotation, target)
        if prepared.query is not None:
            self._project_queries(prepared, prepared.query, rows)

    def _project_queries(
        self, prepared: PreparedLayer, linear: PreparedLinear, rows: range
    ) -> None:
        for tile in row_tiles(rows, _TILE_ROWS):
            here: slice | Tensor = slice(tile.start, tile.stop)
            target = self._row_queries[here]
            if self._rows is not None:
                here = self._rows[here]
                self._gather_rows(here, tile)
            rotation = self._rotation(prepared, here, with_queries=True, with_keys=False)
            source = linear(slice_rows(self._row_encoded, tile), len(tile))
            self._settings.kernels.rotate(source, rotation, target)

    def _gather_rows(self, tokens: Tensor, tile: range) -> None:
        """Residual stream and layer input of the wanted rows, moved together."""
        here = slice(tile.start, tile.stop)
        self._row_state[here] = self._state[tokens]
        if not self._is_shared:
            self._row_encoded.values[here] = self._encoded.values[tokens]
        if self._row_encoded.scale is not None and self._encoded.scale is not None:
            self._row_encoded.scale[here] = self._encoded.scale[tokens]

    def pack(self, layer: int, heads: range) -> None:
        """Pack keys and values of some heads into the buffers of `share_packed`."""
        shape = self._settings.encoder.layers[layer].shape
        self._settings.kernels.pack_keys_values(self._attention_input(layer), shape, heads)

    def share_packed(self) -> None:
        """Let all workers read keys and values from one packed copy; call before any `pack`."""
        inputs, shape = self._attention_input(0), self._settings.encoder.layers[0].shape
        self._packed = self._settings.kernels.packed_room(inputs, shape)

    def finish(self, layer: int, rows: range, workspace: Workspace) -> None:
        """Attention, MLP and norms of some rows; their residual stream becomes the layer's."""
        settings, prepared = self._settings, self._settings.encoder.layers[layer]
        config, kernels = settings.config, settings.kernels
        is_last = self._is_last(layer)
        state, encoded = self._state, self._encoded
        if is_last:
            state = self._row_state
        inputs = self._attention_input(layer)
        for tile in row_tiles(rows, _TILE_ROWS):
            count, padded = len(tile), padded_rows(len(tile))
            attended = workspace.take(
                "attended", (padded, config.query_size), settings.attention_dtype
            )
            kernels.attention(inputs, prepared.shape, attended[:count], tile.start)
            products = prepared.out(self._encode(attended, count, workspace), count)
            inner = self._add_norm(products, prepared.middle_norm, tile, state, workspace)
            products = prepared.mlp_in(inner, count)
            inner = self._room("mlp", (padded, config.intermediate_size), workspace)
            kernels.activate(
                products, config.hidden_act, first_rows(inner, count), is_gated=config.gated_mlp
            )
            del products
            products = prepared.mlp_out(inner, count)
            here = state[tile.start : tile.stop]
            following = None if is_last else slice_rows(encoded, tile, is_padded=False)
            self._close(products, prepared.closing_norm, here, following)

    def result(self) -> Tensor:
        """The states of the wanted rows, in memory of their own."""
        state = self._row_state[: self.num_rows]
        norm = self._settings.encoder.final_norm
        if norm is not None:
            self._settings.kernels.norm(Projection(values=state), None, norm, normed=state)
        return state.clone() if self._rows is None else state

    def run_member(self, member: int, team: WorkerTeam) -> None:
        """One worker's part of the whole pass, waiting for the others where it must."""
        workspace = Workspace()
        if member == 0:
            self.share_packed()
        tokens = self._share(member, team.num_workers)
        rows = tokens if self._rows is None else part_of(self.num_rows, member, team.num_workers)
        heads = part_of(self._settings.config.num_key_value_heads, member, team.num_workers)
        self.embed(tokens.start, tokens.stop, workspace)
        for layer in range(self._settings.config.num_hidden_layers):
            team.meet()
            self.project(layer, tokens, rows, workspace)
            team.meet()
            if self._packed is not None:
                self.pack(layer, heads)
                team.meet()
            self.finish(layer, rows if self._is_last(layer) else tokens, workspace)

    def _share(self, member: int, num_members: int) -> range:
        """Tokens of one worker, so that all have about the same work."""
        lengths = torch.tensor(self._batch.seqlens, dtype=torch.float64)
        costs = (1 + lengths / _ATTENTION_EVEN_TOKENS).repeat_interleave(lengths.long()).cumsum(0)
        bounds = torch.arange(1, num_members) * float(costs[-1]) / num_members
        edges = [0, *torch.searchsorted(costs, bounds).tolist(), self.num_tokens]
        return range(edges[member], edges[member + 1])

    def _add_norm(
        self,
        products: Projection,
        norm: NormWeights | None,
        tile: range,
        state: Tensor,
        workspace: Workspace,
    ) -> EncodedRows:
        """Add attention's output to the residual stream; the normed rows are the MLP's input."""
        kernels, here = self._settings.kernels, state[tile.start : tile.stop]
        padded = padded_rows(len(tile))
        if self._is_shared:
            kernels.norm(products, here, norm, normed=here)
            return EncodedRows(values=state[tile.start : tile.start + padded])
        inner = self._room("middle", (padded, state.shape[1]), workspace)
        target = first_rows(inner, len(tile))
        if self._is_post:
            kernels.norm(products, here, norm, normed=here, encoded=target)
        else:
            kernels.norm(products, here, norm, summed=here, encoded=target)
        return inner

    def _close(
        self,
        products: Projection,
        norm: NormWeights | None,
        here: Tensor,
        encoded: EncodedRows | None,
    ) -> None:
        """Add the MLP's output; `encoded` is the next layer's input, None after the last."""
        kernels = self._settings.kernels
        if self._is_post:
            target = None if self._is_shared else encoded
            kernels.norm(products, here, norm, normed=here, encoded=target)
        elif encoded is None:
            kernels.norm(products, here, norm, normed=here)
        else:
            kernels.norm(products, here, norm, summed=here, encoded=encoded)

    def _encode(self, attended: Tensor, count: int, workspace: Workspace) -> EncodedRows:
        """Attention's output as input of its projection."""
        if attended.dtype == self._settings.product_dtype:
            return EncodedRows(values=attended)
        codes = self._room("attended_codes", (len(attended), attended.shape[1]), workspace)
        self._settings.kernels.encode(attended[:count], first_rows(codes, count))
        return codes

    def _attention_input(self, layer: int) -> AttentionInput:
        config = self._settings.config
        first, size = config.query_size, config.key_value_size
        is_last = self._is_last(layer)
        return AttentionInput(
            queries=self._row_queries if is_last else self._projected[:, :first],
            keys=self._projected[:, first : first + size],
            values=self._projected[:, first + size :],
            cu_seqlens=self._cu_seqlens,
            max_seqlen=self._batch.max_seqlen,
            rows=self._rows if is_last else None,
            packed=self._packed,
        )

    def _rotation(
        self, prepared: PreparedLayer, here: slice | Tensor, *, with_queries: bool, with_keys: bool
    ) -> Rotation:
        config = self._settings.config
        queries = config.num_attention_heads if with_queries else 0
        scale = None
        if with_queries and self._query_scale is not None:
            scale = self._query_scale[here]
        table = self._tables[prepared.shape.window is not None]
        if prepared.rope is None or table is None:
            return Rotation(head_dim=config.head_dim, query_scale=scale, num_scaled_heads=queries)
        return Rotation(
            head_dim=config.head_dim,
            num_heads=queries + (config.num_key_value_heads if with_keys else 0),
            cosines=table[0],
            sines=table[1],
            positions=self._positions[here],
            query_scale=scale,
            num_scaled_heads=queries,
        )

    def _encoded_like(self, name: str, state: Tensor, workspace: Workspace) -> EncodedRows:
        if self._is_shared:
            return EncodedRows(values=state)
        return self._room(name, (state.shape[0], state.shape[1]), workspace)

    def _room(self, name: str, shape: tuple[int, int], workspace: Workspace) -> EncodedRows:
        dtype = self._settings.product_dtype
        scale = None
        if dtype == torch.uint8:
            scale = workspace.take(f"{name}.scale", shape[:1], torch.float32)
        return EncodedRows(values=workspace.take(name, shape, dtype), scale=scale)

    def _is_last(self, layer: int) -> bool:
        return layer + 1 == self._settings.config.num_hidden_layers
