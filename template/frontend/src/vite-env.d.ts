interface ImportMetaEnv {
  /** Set in `.env`. */
  readonly VITE_APP_NAME: string
}
