import { useLocation } from 'react-router'
import { useMagicLink } from '../api/auth'
import { Field } from '../components/Field'
import { Form } from '../components/Form'
import { Page } from '../components/Page'
import { useTexts } from '../texts'
import { CheckYourMail } from './CheckYourMail'
import { MagicLinkLogin } from './MagicLinkLogin'

/** Requests the email. The link in it also leads here, with its token in the fragment. */
export function MagicLink() {
  const token = useLocation().hash.slice(1)
  return token === '' ? <MagicLinkRequest /> : <MagicLinkLogin token={token} />
}

function MagicLinkRequest() {
  const magicLink = useMagicLink()
  const t = useTexts()

  if (magicLink.isSuccess) {
    return <CheckYourMail />
  }
  return (
    <Page title={t.magicLinkTitle}>
      <Form
        action={t.sendLink}
        isPending={magicLink.isPending}
        error={magicLink.error}
        reasons={{ 400: t.noMagicLink }}
        onSubmit={({ email }) => magicLink.mutate({ email })}
      >
        <p>{t.magicLinkText}</p>
        <Field label={t.email} name="email" type="email" autoComplete="email" required />
      </Form>
    </Page>
  )
}
