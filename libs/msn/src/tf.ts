/**
 * The one tfjs instance of the process. The union package registers the CPU backend and all gradients; under Node both
 * `import` and `require` of it resolve to the same CommonJS build, so whoever registers a backend must go through this package
 * and not through tfjs-core, which would be a second engine without gradients.
 */
export * as tf from '@tensorflow/tfjs'
