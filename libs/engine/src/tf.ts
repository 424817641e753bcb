/** The one tfjs of the process: tracing only works on the instance that the steps were written against. */
export { tf } from '#libs/msn'
