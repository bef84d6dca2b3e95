// What the rest of Waggle may use of the kernel engine.

export { type KernelEngine, type KernelEngineOptions, kernelEngine } from './load.ts'
export { type KernelInfo, type KernelSupport, kernelInfo, kernelSupport } from './probe.ts'
export { Tracefs } from './tracefs.ts'
