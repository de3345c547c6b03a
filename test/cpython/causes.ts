/** Why tests of CPython fail in a session: what is known of each, so that another failure is noticed. */

export interface Cause {
  readonly title: string;
  readonly why: string;
  /** For each module, what the ids of its tests end with. */
  readonly tests: Readonly<Record<string, RegExp>>;
  /** Whether such a test takes the interpreter with it, and has to be run alone. */
  readonly ends?: boolean;
}

export const CAUSES: readonly Cause[] = [
  {
    title: 'Asked of a later CPython',
    why: 'The tests are of a later release of 3.14 than the interpreter. What these ask for is a correction, or a wording, that this interpreter does not have yet, by what they assert; those of `test_asyncio.test_tasks`, `test_enum`, `test_generators`, `test_json` and `test_re` were seen to fail in the same way in plain Pyodide.',
    tests: {
      test_abc: /test_instancecheck_no_class$/,
      test_array: /test_setitem_use_after_(clear|shrink)_with_(int|float)_data$/,
      test_binascii: /test_(base64_excess_data|base64_strict_mode|empty_string|uu)$/,
      'test_asyncio.test_tasks':
        /test_(get_context_uninitialized_segfault|(gather|wait)_discards_awaited_by_for_pending|shield_cancel_outer_in_task|eager_start_true_no_loop)$/,
      test_context: /test_hamt_gc_3$/,
      test_dataclasses: /test_(frozen_empty|non_frozen_normal_derived|original_class_is_gced|empty_class_cell)$/,
      test_defaultdict: /test_factory_conflict_with_set_value$/,
      test_dict:
        /test_(overwrite_managed_dict|reversed_dict_keys_changed_during_iteration|split_table_insert_with_str_subclass)$/,
      test_enum: /TestStdLib\.test_pydoc$/,
      test_exception_group: /test_(exceptions_mutation|repr_raises|repr_small_size_args)$/,
      test_fstring: /test_(debug_conversion|not_equal)$/,
      test_ipaddress: /testExplodeShortHandIpStr$/,
      test_functools: /test_repr_safety_against_reentrant_mutation$/,
      test_generators: /test_(exhausted_generator_frame_cycle|close_clears_frame)$/,
      test_int: /test_pylong_int_divmod_crash$/,
      test_itertools: /test_grouper_reentrant_eq_does_not_crash$/,
      test_listcomps: /^loading the module$/,
      test_json: /test_(truncated_input|current_indent_level|ascii_non_printable_decode)$/,
      test_ordered_dict: /test_issue148660_\w+$/,
      test_re: /test_locale_ignorecase_negated_set$/,
      test_string: /test_precompiled_pattern$/,
      test_struct: /test_(705836|Struct_reinitialization|operations_on_half_initialized_Struct|half_float)$/,
      test_types: /test_(duck_gen|gen|wrapper_object|replace_invalid_subtype)$/,
      test_time: /test_FromSecondsObject_float_overflow_message$/,
      test_random: /test_binomialvariate_(btrs_random|log)_zero$/,
      test_datetime:
        /(_Pure\.test_fromisoformat_fails(_datetime(_valueerror)?)?|_Pure\.test_strftime_special|_Fast\.test_fromisoformat_(fails|fails_datetime|utc_subsecond_offset)|TestTimeTZ_Pure\.test_strftime_special)$/,
    },
  },
  {
    title: 'Ends the interpreter',
    why: 'A defect of the interpreter that a later CPython has corrected, or recursion in C that is deeper than the stack WebAssembly has here. The session is made again as it was before the cell.',
    ends: true,
    tests: {
      // It leaves the list of all tasks broken, of which tests after it fail, or the interpreter ends.
      'test_asyncio.test_tasks': /CIntrospectionTests\.test_register_task_resurrection$/,
      test_defaultdict: /test_repr_recursive_factory$/,
      test_dict: /test_reversed_dict_after_clear_and_restore$/,
      test_itertools: /test_groupby_reentrant_eq_does_not_crash$/,
      test_set: /test_hash_collision_concurrent_add$/,
    },
  },
  {
    title: 'Threads',
    why: 'There are none: `RuntimeError: can’t start new thread`.',
    tests: {
      'test_asyncio.test_futures': /test_wrap_future(_use_global_loop|_use_running_loop|_without_loop)?$/,
      'test_asyncio.test_tasks': /test_run_coroutine_threadsafe(_\w+)?$/,
    },
  },
  {
    title: 'The platform’s arithmetic',
    why: 'The C library of Emscripten reports no error of range where glibc does, or the other way round.',
    tests: {
      test_complex: /test_abs_errno_handling$/,
      test_math: /testIsqrt$/,
      test_random: /test_getrandbits_2G_bits$/,
    },
  },
  {
    title: 'A folder that is not in the session',
    why: 'The test changes into the folders of the test suite’s data, of which the session is given only what is small.',
    tests: { test_contextlib: /TestChdir\.test_reentrant$/ },
  },
  {
    title: 'The streams of a session',
    why: 'They are objects of the session’s own, and are described as such.',
    tests: { test_reprlib: /test_custom_repr$/ },
  },
];

export function causeOf(module: string, id: string): Cause | undefined {
  return CAUSES.find(({ tests }) => tests[module]?.test(id));
}

/** Whether the test is known to take the interpreter with it. */
export const isAlone = (module: string, id: string): boolean => causeOf(module, id)?.ends === true;
