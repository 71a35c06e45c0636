"""A compiler intrinsic that numba lacks: fetch a cache line ahead of its use."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def _prefetch(typing_context: Any, table: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table_type, _ = signature.args
        array = context.make_array(table_type)(context, builder, arguments[0])
        column = ir.Constant(arguments[1].type, 0)
        pointer = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
            context, builder, table_type, array, [arguments[1], column]
        )
        address = builder.bitcast(pointer, cgutils.voidptr_t)
        flag = ir.IntType(32)
        signature_of = ir.FunctionType(ir.VoidType(), [address.type, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], signature_of)
        for_writing, keep_in_all_caches, data_cache = flag(1), flag(3), flag(1)
        builder.call(function, [address, for_writing, keep_in_all_caches, data_cache])
        return context.get_dummy_value()

    return types.void(table, row), generate


prefetch: Any = _prefetch
"""prefetch(table, row), in a kernel only: ask for the cache line of ``table[row, 0]``, to write."""
