import { useLocation } from 'react-router'
import { useMagicLink } from '../api/auth'
import { ApiClientError } from '../api/client'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { MagicLinkLogin } from './MagicLinkLogin'

/** Asks for the mail. The link in it leads here, too: its token stands after the #. */
export function MagicLink() {
  const token = useLocation().hash.slice(1)
  return token === '' ? <MagicLinkRequest /> : <MagicLinkLogin token={token} />
}

function MagicLinkRequest() {
  const magicLink = useMagicLink()

  if (magicLink.isSuccess) {
    return (
      <Page title="Check your mail">
        <p>
          If <strong>{magicLink.variables.email}</strong> is registered, a mail with a link to log in is on its
          way. The link works once, within 5 minutes.
        </p>
      </Page>
    )
  }
  return (
    <Page title="Log in without a password">
      <Form
        action="Send the mail"
        isPending={magicLink.isPending}
        error={magicLink.error && reason(magicLink.error)}
        onSubmit={({ email }) => magicLink.mutate({ email })}
      >
        <p>We mail you a link that logs you in without a password.</p>
        <Field label="Email address" name="email" type="email" autoComplete="email" required />
      </Form>
    </Page>
  )
}

function reason(error: Error): string {
  return error instanceof ApiClientError && error.status === 400
    ? 'This address cannot log in with a link. Use the password.'
    : error.message
}
