/** The fields of a ModelConfig that mean something here, as {@link readConfig} gives them: absent is the default. */
import type { dataTypes } from './config-schema.ts';

type DataType = (typeof dataTypes)[number];

export interface TritonTensor {
  readonly name?: string;
  readonly data_type?: DataType;
  readonly format?: string;
  readonly dims?: readonly number[];
  readonly reshape?: { readonly shape?: readonly number[] };
  /** Of outputs. */
  readonly label_filename?: string;
}

export interface TritonInstanceGroup {
  readonly kind?: 'KIND_AUTO' | 'KIND_GPU' | 'KIND_CPU' | 'KIND_MODEL';
  readonly count?: number;
  readonly gpus?: readonly number[];
  readonly passive?: boolean;
}

export interface TritonQueuePolicy {
  readonly timeout_action?: 'REJECT' | 'DELAY';
  readonly default_timeout_microseconds?: number;
  readonly allow_timeout_override?: boolean;
  readonly max_queue_size?: number;
}

export interface TritonDynamicBatching {
  readonly preferred_batch_size?: readonly number[];
  readonly max_queue_delay_microseconds?: number;
  readonly priority_levels?: number;
  readonly default_priority_level?: number;
  readonly default_queue_policy?: TritonQueuePolicy;
  readonly priority_queue_policy?: Readonly<Record<string, TritonQueuePolicy>>;
}

export interface TritonAccelerator {
  readonly name?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface TritonWarmupInput {
  readonly data_type?: DataType;
  readonly dims?: readonly number[];
  readonly zero_data?: boolean;
  readonly random_data?: boolean;
  readonly input_data_file?: string;
}

export interface TritonWarmup {
  readonly name?: string;
  readonly batch_size?: number;
  readonly count?: number;
  readonly inputs?: Readonly<Record<string, TritonWarmupInput>>;
}

interface TritonStep {
  readonly model_name?: string;
  readonly model_version?: number;
  /** By input of the model. */
  readonly input_map?: Readonly<Record<string, string>>;
  readonly output_map?: Readonly<Record<string, string>>;
  readonly model_namespace?: string;
}

interface TritonMetricControl {
  readonly metric_identifier?: { readonly family?: string };
  readonly histogram_options?: { readonly buckets?: readonly number[] };
}

export interface TritonConfig {
  readonly name?: string;
  readonly platform?: string;
  readonly backend?: string;
  readonly runtime?: string;
  readonly version_policy?: {
    readonly latest?: { readonly num_versions?: number };
    readonly all?: object;
    readonly specific?: { readonly versions?: readonly number[] };
  };
  readonly max_batch_size?: number;
  readonly input?: readonly TritonTensor[];
  readonly output?: readonly TritonTensor[];
  readonly optimization?: {
    readonly graph?: { readonly level?: number };
    readonly execution_accelerators?: {
      readonly gpu_execution_accelerator?: readonly TritonAccelerator[];
      readonly cpu_execution_accelerator?: readonly TritonAccelerator[];
    };
  };
  readonly dynamic_batching?: TritonDynamicBatching;
  readonly ensemble_scheduling?: {
    readonly step?: readonly TritonStep[];
    readonly max_inflight_requests?: number;
  };
  readonly instance_group?: readonly TritonInstanceGroup[];
  readonly default_model_filename?: string;
  readonly parameters?: Readonly<Record<string, { readonly string_value?: string }>>;
  readonly model_warmup?: readonly TritonWarmup[];
  readonly metric_tags?: Readonly<Record<string, string>>;
  readonly response_cache?: { readonly enable?: boolean };
  readonly model_metrics?: { readonly metric_control?: readonly TritonMetricControl[] };
}
