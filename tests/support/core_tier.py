"""The tests that guard what everything else rests on: `pytest -m core`, two minutes.

In one place, so that one sees at a glance what the tier holds. `tests/test_core_tier.py` checks that each name exists.
"""

CORE: dict[str, tuple[str, ...]] = {
    # Parity with the published networks and metrics.
    "models/test_import_weights.py": (
        "test_mono2binaural_equals_the_published_network",
        "test_apnet_equals_the_published_network",
        "test_associative_conv_equals_the_published_network",
        "test_separation_equals_the_published_network",
        "test_pseudobinaural_with_instance_norm_equals_the_published_network",
        "test_the_released_joint_loss_equals_the_published_terms",
        "test_the_command_writes_a_folder_that_loads_the_same",
    ),
    "metrics/test_binaural_distances.py": (
        "test_values_of_the_released_scripts_are_met_to_six_digits_with_the_padding_they_had",
        "test_spectrogram_and_envelope_agree_with_librosa_and_scipy_at_any_length",
        "test_identical_signals_are_at_distance_zero_and_silence_is_defined",
        "test_swapped_ears_score_pi_and_mono_half_of_it",
    ),
    "metrics/test_separation_ratios.py": ("test_ratios_agree_with_mir_eval",),
    # What every model promises.
    "models/test_every_stereo_model.py": (
        "test_gives_one_difference_spectrogram_per_item_with_the_highest_bin_empty_if_it_says_so",
        "test_the_predicted_ears_add_up_to_the_mix",
        "test_an_item_does_not_depend_on_the_others_of_its_batch",
        "test_silence_stays_silent",
        "test_a_saved_network_comes_back_the_same",
    ),
    "models/test_every_separation_model.py": ("test_gives_one_stem_per_picture",),
    "models/sounding_objects/test_sounding_objects.py": (
        "test_mirrored_objects_give_swapped_ears",
        "test_the_ears_add_up_to_the_sound",
        "test_a_soloist_is_heard_where_it_is_seen",
    ),
    # Acoustics against independent libraries.
    "acoustics/test_harmonics.py": (
        "test_n3d_equals_scipy_without_the_condon_shortley_phase",
        "test_first_order_is_w_y_z_x_of_equation_5",
    ),
    "acoustics/test_independent_renderers.py": (
        "test_a_still_source_agrees_with_spaudiopy",
        "test_virtual_speakers_agree_with_spaudiopy",
        "test_the_file_read_by_another_library_is_what_was_loaded",
    ),
    # Streaming is equal to the whole.
    "acoustics/test_rendering.py": (
        "test_convolution_equals_scipy_also_over_many_blocks",
        "test_streaming_joins_to_the_whole_rendering_of_a_still_source",
        "test_streaming_a_moving_source_joins_to_the_whole_rendering",
    ),
    "inference/test_loudness.py": ("test_the_result_does_not_depend_on_how_the_stream_is_cut",),
    "inference/test_network_model.py": ("test_batches_do_not_change_the_result",),
    # Packets and synchrony in every container.
    "media/test_writer.py": (
        "test_picture_packets_keep_every_bit_and_sound_its_place",
        "test_packets_are_interleaved_by_time",
    ),
    # Each command once (benchmark, import-weights and train stand with what they do).
    "cli/test_binauralize_command.py": (
        "test_one_input_goes_to_the_named_output_and_is_reported",
        "test_an_input_that_fails_is_named_and_the_others_are_done",
        "test_models_lists_every_name_with_task_size_and_source",
        "test_demo_makes_a_scene_whose_ears_follow_the_ball",
    ),
    "cli/test_evaluate.py": ("test_values_of_the_released_scripts_are_met_to_six_digits_from_wav_files",),
    "cli/test_benchmark_command.py": ("test_it_prints_the_tables_and_says_where_the_report_is",),
    "cli/test_simulate_command.py": ("test_the_command_makes_checks_and_shows_a_set",),
    "cli/test_errors.py": ("test_a_failure_is_one_line_and_exit_code_1",),
    "datasets/test_prepare.py": ("test_the_command_says_what_it_left_out",),
    "datasets/test_resplit.py": ("test_the_command_reads_videos_and_writes_lists",),
    "pseudo/test_pseudo_folder.py": ("test_the_command_writes_pairs_and_names_what_it_leaves_out",),
    # The shapes of this tier are checked.
    "test_shapes.py": ("test_a_wrong_shape_is_refused",),
    # A resumed training ends as an undisturbed one.
    "training/test_run.py": (
        "test_a_run_leaves_a_model_a_log_and_a_card",
        "test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one",
    ),
}
"""Test functions by their file below `tests/`."""

if __name__ == "__main__":
    print(*(f"tests/{file}" for file in CORE))
